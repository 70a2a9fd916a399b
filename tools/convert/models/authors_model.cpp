// The whole contrastive model, as the authors' code stores it.
#include "models/contrastive_model.h"

#include "tools/convert/models/parts.h"
#include "train/settings.h"

namespace mg {

namespace {

constexpr int kDistilBertHeads = 12;  // of distilbert-base-uncased, which the authors' code loads

void decide_prompting(ConvertedModel& model, const TensorMap& tensors, const Source& source) {
  const std::string alpha = "prompt_generator.prompt_scaling_factor";
  decide(model, source, "prompt.layers", count_numbered(tensors, "prompt_generator.refinement_blocks."));
  decide(model, source, "prompt.alpha_shape",
         extent(tensors, alpha, 0, source) == 1 && model.config.integer("model.embedding_dim") > 1
             ? "scalar"
             : "vector");
}

}  // namespace

ConvertedModel build_authors(const Source& source, const BuildOptions& options) {
  ConvertedModel model;
  model.kind = "authors";
  model.config = Config::from_preset("authors");
  for (const std::string& setting : options.settings) model.config.set(setting);
  const bool prompting = model.config.text("prompt.kind") != "none";
  model.keys = authors_keys(source.weights.tensors, source.path.string(), prompting);
  TensorMap tensors = renamed(source.weights.tensors, model.keys);
  decide_video(model, tensors, "image_encoder.", source);
  BuildOptions text_options = options;
  if (!text_options.heads) text_options.heads = kDistilBertHeads;
  const std::string text = "text_encoder.model.";
  const bool bert = count_numbered(tensors, text + "encoder.layer.") > 0;
  decide_text(model, bert ? "bert" : "distilbert", tensors, text, source, text_options);
  decide(model, source, "model.embedding_dim",
         extent(tensors, "image_projection.projection.weight", 0, source));
  if (prompting) decide_prompting(model, tensors, source);
  for (const std::string& setting : options.settings) model.config.set(setting);
  model.decided.clear();
  fit_vocabulary(model, tensors, text, source);

  const auto vocabulary = static_cast<std::int64_t>(model.vocabulary.size());
  auto net = std::make_unique<ContrastiveModel>(contrastive_model_config(model.config, vocabulary));
  model.probe = [net = net.get(), vocabulary](Context& ctx) {
    const EncodedVideo video = net->encode_video(ctx, drawn_tensor(ctx, "frames", {2, 8, 48, 48, 3}));
    const Value texts = net->encode_text(ctx, drawn_texts(vocabulary));
    const Tensor logits = net->logits(ctx, video.embedding, net->prompt(ctx, texts, video));
    return Probe{{"video embeddings", some_values(video.embedding.data)},
                 {"text embeddings", some_values(texts.data)},
                 {"similarity", some_values(logits)}};
  };
  model.module = std::move(net);
  load_model(model, std::move(tensors), source, options);
  return model;
}

}  // namespace mg
