// Text encoders of BERT's family, as transformers stores them.
#include "models/text_encoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/convert/models/parts.h"
#include "train/settings.h"

namespace mg {

namespace {

using nlohmann::json;

// What config.json calls the settings of each kind.
struct SettingNames {
  const char *heads, *activation;
};

SettingNames setting_names(const std::string& kind) {
  return kind == "bert" ? SettingNames{"num_attention_heads", "hidden_act"}
                        : SettingNames{"n_heads", "activation"};
}

void check_setting(const Source& source, const char* name, const json& expected) {
  const auto found = source.config.find(name);
  if (found == source.config.end() || *found == expected) return;
  refuse(source, "config.json: {}: expected {}, got {}", name, expected.dump(), found->dump());
}

void check_settings(const Source& source, const std::string& kind) {
  if (!source.config.is_object()) return;
  check_setting(source, "model_type", kind);
  check_setting(source, setting_names(kind).activation, "gelu");
  check_setting(source, "position_embedding_type", "absolute");
  check_setting(source, "layer_norm_eps", 1e-12);
}

// They cannot be seen in the weights.
std::int64_t heads_of(const Source& source, const std::string& kind, std::int64_t dim,
                      const BuildOptions& options) {
  const char* name = setting_names(kind).heads;
  std::int64_t heads = options.heads.value_or(0);
  if (source.config.is_object() && source.config.contains(name)) {
    if (!source.config[name].is_number_integer()) refuse(source, "config.json: {}: expected a number", name);
    heads = source.config[name].get<std::int64_t>();
  }
  if (heads == 0) {
    refuse(
        source,
        "the number of attention heads is not in the weights: give the model's folder with its config.json, "
        "or --heads N (12 for DistilBERT, BERT-base and MiniLM)");
  }
  if (heads < 0 || dim % heads != 0)
    refuse(source, "{} attention heads do not divide {} channels", heads, dim);
  return heads;
}

json transformers_config(const ConvertedModel& model, std::int64_t vocabulary) {
  const Config& c = model.config;
  const std::int64_t dim = c.integer("text.dim"), hidden = c.integer("text.hidden_dim"),
                     layers = c.integer("text.layers"), heads = c.integer("text.heads"),
                     positions = c.integer("text.max_positions");
  if (c.text("text.kind") == "bert") {
    return {{"architectures", {"BertModel"}},
            {"model_type", "bert"},
            {"vocab_size", vocabulary},
            {"hidden_size", dim},
            {"intermediate_size", hidden},
            {"num_hidden_layers", layers},
            {"num_attention_heads", heads},
            {"hidden_act", "gelu"},
            {"max_position_embeddings", positions},
            {"type_vocab_size", 2},
            {"layer_norm_eps", 1e-12},
            {"pad_token_id", 0}};
  }
  return {{"architectures", {"DistilBertModel"}},
          {"model_type", "distilbert"},
          {"vocab_size", vocabulary},
          {"dim", dim},
          {"hidden_dim", hidden},
          {"n_layers", layers},
          {"n_heads", heads},
          {"activation", "gelu"},
          {"max_position_embeddings", positions},
          {"sinusoidal_pos_embds", false},
          {"pad_token_id", 0}};
}

}  // namespace

void decide_text(ConvertedModel& model, const std::string& kind, const TensorMap& tensors,
                 const std::string& prefix, const Source& source, const BuildOptions& options) {
  const bool bert = kind == "bert";
  const std::string layers = prefix + (bert ? "encoder.layer." : "transformer.layer."),
                    other = prefix + (bert ? "transformer.layer." : "encoder.layer.");
  if (count_numbered(tensors, layers) == 0) {
    const bool is_other = count_numbered(tensors, other) > 0;
    refuse(source, "no {}0.*: expected the layers of {}{}", layers, kind,
           is_other ? fmt::format("; these are {}'s: --as {}", bert ? "DistilBERT" : "BERT",
                                  bert ? "distilbert" : "bert")
                    : "");
  }
  check_settings(source, kind);
  const std::int64_t dim = extent(tensors, prefix + "embeddings.word_embeddings.weight", 1, source),
                     positions = extent(tensors, prefix + "embeddings.position_embeddings.weight", 0, source);
  decide(model, source, "text.kind", kind);
  decide(model, source, "text.dim", dim);
  decide(model, source, "text.hidden_dim",
         extent(tensors, layers + (bert ? "0.intermediate.dense.weight" : "0.ffn.lin1.weight"), 0, source));
  decide(model, source, "text.layers", count_numbered(tensors, layers));
  decide(model, source, "text.heads", heads_of(source, kind, dim, options));
  decide(model, source, "text.max_positions", positions);
  decide(model, source, "text.max_length",
         std::min<std::int64_t>(source.max_length.value_or(200), positions));
  decide(model, source, "text.lowercase", source.tokenizer.lowercase);
  if (source.pooling)
    decide(model, source, "text.pooling", *source.pooling == TextPooling::mean ? "mean" : "cls");
}

void fit_vocabulary(ConvertedModel& model, TensorMap& tensors, const std::string& prefix,
                    const Source& source) {
  const std::string name = prefix + "embeddings.word_embeddings.weight";
  const std::int64_t rows = extent(tensors, name, 0, source);
  if (source.vocabulary.empty()) {
    refuse(source,
           "no vocabulary: expected vocab.txt or tokenizer.json in the model's folder, or --vocab vocab.txt "
           "with "
           "its {} tokens",
           rows);
  }
  const auto tokens = static_cast<std::int64_t>(source.vocabulary.size());
  if (rows < tokens) refuse(source, "{} has {} rows, but the vocabulary {} tokens", name, rows, tokens);
  model.vocabulary = source.vocabulary;
  // An Error where it lacks the special tokens.
  const WordPiece checked(model.vocabulary, source.path.string());
  if (rows == tokens) return;
  const Tensor& all = tensors.at(name);
  Tensor kept(heap_allocator(), {tokens, all.channels()}, Layout::dense);
  std::copy_n(all.f32(), kept.count(), kept.f32());
  tensors[name] = kept;
  model.notes.push_back(
      fmt::format("{}: the rows from {} to {} are left out: no token has them", name, tokens, rows - 1));
}

ConvertedModel build_text(const std::string& kind, const Source& source, const BuildOptions& options) {
  ConvertedModel model;
  model.kind = kind;
  model.keys = text_encoder_keys(source.weights.tensors, source.path.string());
  TensorMap tensors = renamed(source.weights.tensors, model.keys);
  decide_text(model, kind, tensors, "", source, options);
  decide(model, source, "contrastive.lr_text", 1e-5);
  for (const std::string& setting : options.settings) model.config.set(setting);
  fit_vocabulary(model, tensors, "", source);
  const auto vocabulary = static_cast<std::int64_t>(model.vocabulary.size());
  model.transformers = transformers_config(model, vocabulary);

  const ContrastiveModelConfig config = contrastive_model_config(model.config, vocabulary);
  auto encoder = std::make_unique<TextEncoder>(config.text);
  model.probe = [encoder = encoder.get(), vocabulary](Context& ctx) {
    const TokenBatch texts = drawn_texts(vocabulary);
    const Value hidden = encoder->forward(ctx, texts);
    return Probe{{"first token", some_values(pool_text(ctx, hidden, texts.lengths, TextPooling::cls).data)},
                 {"mean", some_values(pool_text(ctx, hidden, texts.lengths, TextPooling::mean).data)}};
  };
  model.module = std::move(encoder);
  load_model(model, std::move(tensors), source, options);
  return model;
}

}  // namespace mg
