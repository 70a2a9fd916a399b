// The first stage's model and loss as a golden file describes them.
#pragma once

#include <string>
#include <vector>

#include "models/contrastive_model.h"
#include "models/golden.h"

namespace mg::test {

using TokenLists = std::vector<std::vector<std::int32_t>>;

// sizes and a case as tests/goldens/contrastive.py takes them.
inline ContrastiveModelConfig model_config(const nlohmann::json& sizes, const nlohmann::json& item) {
  ContrastiveModelConfig config;
  config.video.width = sizes["width"];
  config.video.blocks = sizes["blocks"];
  config.text = {.kind = item.value("text", "distilbert") == "bert" ? TextKind::bert : TextKind::distilbert,
                 .vocabulary = sizes["vocabulary"],
                 .max_positions = sizes["positions"],
                 .dim = sizes["dim"],
                 .hidden_dim = sizes["hidden"],
                 .layers = sizes["layers"],
                 .heads = sizes["heads"],
                 .dropout = 0,
                 .attention_dropout = 0};
  config.embedding_dim = sizes["embedding"];
  config.head_dropout = 0;
  const std::string kind = item["prompt"], tokens = item.value("tokens", "spatiotemporal");
  config.prompt.kind = kind == "none"    ? PromptKind::none
                       : kind == "xclip" ? PromptKind::xclip
                                         : PromptKind::paper_eq;
  config.prompt.scalar_alpha = kind == "paper_eq";
  config.prompt.tokens = tokens == "pooled"  ? PromptTokens::pooled
                         : tokens == "batch" ? PromptTokens::batch
                                             : PromptTokens::spatiotemporal;
  config.prompt.condition =
      item.value("condition", "each") == "own" ? PromptCondition::own : PromptCondition::each;
  return config;
}

// The loss of clips whose texts are texts[labels[i]].
inline Value stage1_loss(Context& ctx, ContrastiveModel& model, const Tensor& frames, const TokenLists& texts,
                         const std::vector<std::int32_t>& labels) {
  const bool own = model.config().prompt.condition == PromptCondition::own;
  const EncodedVideo video = model.encode_video(ctx, frames);
  const Value encoded = model.encode_text(ctx, pad_tokens(texts, 0));
  const Value text = own ? model.prompt_own(ctx, encoded, labels, video) : model.prompt(ctx, encoded, video);
  // Which of the compared texts is of the same kind as clip i, and how many clips carry it.
  const std::size_t clips = labels.size(), count = own ? clips : texts.size();
  Tensor positives =
      ctx.zeros({static_cast<std::int64_t>(clips), static_cast<std::int64_t>(count)}, Layout::dense);
  std::vector<std::int32_t> counts(count, own ? 1 : 0);
  for (std::size_t i = 0; i < clips; ++i) {
    if (!own) ++counts[static_cast<std::size_t>(labels[i])];
    for (std::size_t k = 0; k < count; ++k) {
      const std::int32_t kind = own ? labels[k] : static_cast<std::int32_t>(k);
      positives.f32()[i * count + k] = kind == labels[i] ? 1 : 0;
    }
  }
  return contrastive_loss(ctx, l2_normalize(ctx, video.embedding), l2_normalize(ctx, text), positives, counts,
                          {.temperature = 0.05f, .label_scale = 10});
}

}  // namespace mg::test
