#include "models/text_encoder.h"

#include <string>

namespace mg {

namespace {

constexpr float kEps = 1e-12f;
constexpr std::int64_t kTokenTypes = 2;
const Init kInit = Init::normal(0.02f);
const LinearOptions kDense{.bias = true, .init = kInit};

// What transformers calls the parts of a layer.
struct LayerNames {
  const char *layers, *query, *key, *value, *attention_output, *attention_norm, *expand, *contract, *norm;
};

constexpr LayerNames kDistilBertNames{.layers = "transformer.layer.",
                                      .query = "attention.q_lin",
                                      .key = "attention.k_lin",
                                      .value = "attention.v_lin",
                                      .attention_output = "attention.out_lin",
                                      .attention_norm = "sa_layer_norm",
                                      .expand = "ffn.lin1",
                                      .contract = "ffn.lin2",
                                      .norm = "output_layer_norm"};
constexpr LayerNames kBertNames{.layers = "encoder.layer.",
                                .query = "attention.self.query",
                                .key = "attention.self.key",
                                .value = "attention.self.value",
                                .attention_output = "attention.output.dense",
                                .attention_norm = "attention.output.LayerNorm",
                                .expand = "intermediate.dense",
                                .contract = "output.dense",
                                .norm = "output.LayerNorm"};

const LayerNames& names_of(TextKind kind) { return kind == TextKind::bert ? kBertNames : kDistilBertNames; }

}  // namespace

TextEncoderLayer::TextEncoderLayer(const TextEncoderConfig& c)
    : heads_(c.heads),
      dropout_(c.dropout),
      attention_dropout_(c.attention_dropout),
      attention_output_dropout_(c.kind == TextKind::bert ? c.dropout : 0),
      query_(c.dim, c.dim, kDense),
      key_(c.dim, c.dim, kDense),
      value_(c.dim, c.dim, kDense),
      attention_output_(c.dim, c.dim, kDense),
      attention_norm_(c.dim, kEps),
      expand_(c.dim, c.hidden_dim, kDense),
      contract_(c.hidden_dim, c.dim, kDense),
      output_norm_(c.dim, kEps) {
  const LayerNames& names = names_of(c.kind);
  add_child(names.query, query_);
  add_child(names.key, key_);
  add_child(names.value, value_);
  add_child(names.attention_output, attention_output_);
  add_child(names.attention_norm, attention_norm_);
  add_child(names.expand, expand_);
  add_child(names.contract, contract_);
  add_child(names.norm, output_norm_);
}

Value TextEncoderLayer::forward(Context& ctx, const Value& x, std::span<const std::int32_t> lengths) {
  const Value heads = attention(
      ctx, query_.forward(ctx, x), key_.forward(ctx, x), value_.forward(ctx, x),
      {.heads = heads_, .key_lengths = lengths, .dropout = attention_dropout_, .site = site("attention")});
  const Value projected = dropout(ctx, attention_output_.forward(ctx, heads), attention_output_dropout_,
                                  site("attention.output.dropout"));
  const Value attended = attention_norm_.forward(ctx, add(ctx, projected, x));
  const Value hidden = contract_.forward(ctx, expand_.forward(ctx, attended, Activation::gelu));
  const Value dropped = dropout(ctx, hidden, dropout_, site("ffn.dropout"));
  return output_norm_.forward(ctx, add(ctx, dropped, attended));
}

TextEncoder::TextEncoder(const TextEncoderConfig& config)
    : config_(config),
      word_embeddings_(config.vocabulary, config.dim, kInit),
      position_embeddings_(config.max_positions, config.dim, kInit),
      embeddings_norm_(config.dim, kEps) {
  add_child("embeddings.word_embeddings", word_embeddings_);
  add_child("embeddings.position_embeddings", position_embeddings_);
  if (config.kind == TextKind::bert) {
    token_type_embeddings_ = std::make_unique<Embedding>(kTokenTypes, config.dim, kInit);
    add_child("embeddings.token_type_embeddings", *token_type_embeddings_);
  }
  add_child("embeddings.LayerNorm", embeddings_norm_);
  for (int i = 0; i < config.layers; ++i) {
    layers_.push_back(std::make_unique<TextEncoderLayer>(config));
    add_child(names_of(config.kind).layers + std::to_string(i), *layers_.back());
  }
}

Value TextEncoder::forward(Context& ctx, const TokenBatch& tokens, std::vector<Value>* hidden_states) {
  expect(tokens.length <= config_.max_positions, "TextEncoder: texts of {} tokens, but only {} positions",
         tokens.length, config_.max_positions);
  std::vector<std::int32_t> positions(tokens.ids.size());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    positions[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) % tokens.length);
  }
  const Shape shape{tokens.count, tokens.length, config_.dim};
  Value x = add(ctx, word_embeddings_.forward(ctx, tokens.ids, shape),
                position_embeddings_.forward(ctx, positions, shape));
  if (token_type_embeddings_) {
    const std::vector<std::int32_t> first_type(tokens.ids.size(), 0);
    x = add(ctx, x, token_type_embeddings_->forward(ctx, first_type, shape));
  }
  x = dropout(ctx, embeddings_norm_.forward(ctx, x), config_.dropout, site("embeddings"));
  if (hidden_states != nullptr) hidden_states->push_back(x);
  for (auto& layer : layers_) {
    x = layer->forward(ctx, x, tokens.lengths);
    if (hidden_states != nullptr) hidden_states->push_back(x);
  }
  return x;
}

Value pool_text(Context& ctx, const Value& hidden, std::span<const std::int32_t> lengths,
                TextPooling pooling) {
  return pooling == TextPooling::cls ? first_position(ctx, hidden) : masked_mean(ctx, hidden, lengths);
}

}  // namespace mg
