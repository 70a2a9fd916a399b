#include "models/distilbert.h"

#include <string>

namespace mg {

namespace {

constexpr float kEps = 1e-12f;
const LinearOptions kDense{.bias = true, .init = Init::normal(0.02f)};

}  // namespace

DistilBertLayer::DistilBertLayer(const DistilBertConfig& c)
    : heads_(c.heads),
      dropout_(c.dropout),
      attention_dropout_(c.attention_dropout),
      q_lin_(c.dim, c.dim, kDense),
      k_lin_(c.dim, c.dim, kDense),
      v_lin_(c.dim, c.dim, kDense),
      out_lin_(c.dim, c.dim, kDense),
      sa_layer_norm_(c.dim, kEps),
      lin1_(c.dim, c.hidden_dim, kDense),
      lin2_(c.hidden_dim, c.dim, kDense),
      output_layer_norm_(c.dim, kEps) {
  add_child("attention.q_lin", q_lin_);
  add_child("attention.k_lin", k_lin_);
  add_child("attention.v_lin", v_lin_);
  add_child("attention.out_lin", out_lin_);
  add_child("sa_layer_norm", sa_layer_norm_);
  add_child("ffn.lin1", lin1_);
  add_child("ffn.lin2", lin2_);
  add_child("output_layer_norm", output_layer_norm_);
}

Value DistilBertLayer::forward(Context& ctx, const Value& x, std::span<const std::int32_t> lengths) {
  const Value heads = attention(
      ctx, q_lin_.forward(ctx, x), k_lin_.forward(ctx, x), v_lin_.forward(ctx, x),
      {.heads = heads_, .key_lengths = lengths, .dropout = attention_dropout_, .site = site("attention")});
  const Value attended = sa_layer_norm_.forward(ctx, add(ctx, out_lin_.forward(ctx, heads), x));
  const Value hidden = lin2_.forward(ctx, lin1_.forward(ctx, attended, Activation::gelu));
  const Value dropped = dropout(ctx, hidden, dropout_, site("ffn.dropout"));
  return output_layer_norm_.forward(ctx, add(ctx, dropped, attended));
}

DistilBert::DistilBert(const DistilBertConfig& config)
    : config_(config),
      word_embeddings_(config.vocabulary, config.dim, Init::normal(0.02f)),
      position_embeddings_(config.max_positions, config.dim, Init::normal(0.02f)),
      embeddings_layer_norm_(config.dim, kEps) {
  add_child("embeddings.word_embeddings", word_embeddings_);
  add_child("embeddings.position_embeddings", position_embeddings_);
  add_child("embeddings.LayerNorm", embeddings_layer_norm_);
  for (int i = 0; i < config.layers; ++i) {
    layers_.push_back(std::make_unique<DistilBertLayer>(config));
    add_child("transformer.layer." + std::to_string(i), *layers_.back());
  }
}

Value DistilBert::forward(Context& ctx, const TokenBatch& tokens, std::vector<Value>* hidden_states) {
  expect(tokens.length <= config_.max_positions, "DistilBert: texts of {} tokens, but only {} positions",
         tokens.length, config_.max_positions);
  std::vector<std::int32_t> positions(tokens.ids.size());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    positions[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) % tokens.length);
  }
  const Shape shape{tokens.count, tokens.length, config_.dim};
  const Value embedded = add(ctx, word_embeddings_.forward(ctx, tokens.ids, shape),
                             position_embeddings_.forward(ctx, positions, shape));
  Value x = dropout(ctx, embeddings_layer_norm_.forward(ctx, embedded), config_.dropout, site("embeddings"));
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
