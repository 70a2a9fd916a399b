#include "models/emotion_transformer.h"

#include <cmath>
#include <string>

#include "models/token_batch.h"

namespace mg {

namespace {

// Xavier's bound, as nn.MultiheadAttention starts its packed [3D, D] projection: uniform with fan-in D,
// fan-out 3D.
LinearOptions packed_projection(std::int64_t dim) {
  return {.bias = true, .init = Init::uniform(std::sqrt(6.0f / static_cast<float>(4 * dim)))};
}

}  // namespace

EncoderLayer::EncoderLayer(const EmotionTransformerConfig& c)
    : heads_(c.heads),
      dropout_(c.dropout),
      pre_norm_(c.pre_norm),
      q_proj_(c.dim, c.dim, packed_projection(c.dim)),
      k_proj_(c.dim, c.dim, packed_projection(c.dim)),
      v_proj_(c.dim, c.dim, packed_projection(c.dim)),
      out_proj_(c.dim, c.dim),
      linear1_(c.dim, c.hidden_dim),
      linear2_(c.hidden_dim, c.dim),
      norm1_(c.dim),
      norm2_(c.dim) {
  add_child("self_attn.q_proj", q_proj_);
  add_child("self_attn.k_proj", k_proj_);
  add_child("self_attn.v_proj", v_proj_);
  add_child("self_attn.out_proj", out_proj_);
  add_child("linear1", linear1_);
  add_child("linear2", linear2_);
  add_child("norm1", norm1_);
  add_child("norm2", norm2_);
}

Value EncoderLayer::self_attention(Context& ctx, const Value& x, std::span<const std::int32_t> lengths) {
  const Value heads =
      attention(ctx, q_proj_.forward(ctx, x), k_proj_.forward(ctx, x), v_proj_.forward(ctx, x),
                {.heads = heads_, .key_lengths = lengths, .dropout = dropout_, .site = site("attention")});
  return dropout(ctx, out_proj_.forward(ctx, heads), dropout_, site("dropout1"));
}

Value EncoderLayer::feed_forward(Context& ctx, const Value& x) {
  const Value hidden = dropout(ctx, linear1_.forward(ctx, x, Activation::relu), dropout_, site("dropout"));
  return dropout(ctx, linear2_.forward(ctx, hidden), dropout_, site("dropout2"));
}

Value EncoderLayer::forward(Context& ctx, const Value& x, std::span<const std::int32_t> lengths) {
  if (pre_norm_) {
    const Value y = add(ctx, x, self_attention(ctx, norm1_.forward(ctx, x), lengths));
    return add(ctx, y, feed_forward(ctx, norm2_.forward(ctx, y)));
  }
  const Value y = norm1_.forward(ctx, add(ctx, x, self_attention(ctx, x, lengths)));
  return norm2_.forward(ctx, add(ctx, y, feed_forward(ctx, y)));
}

EmotionTransformer::EmotionTransformer(const EmotionTransformerConfig& config)
    : config_(config),
      embedding_(config.gestures + 2, config.dim),
      position_embedding_(config.max_length + 1, config.dim, Init::normal(0.02f)),
      classifier_(config.dim, config.emotions) {
  add_child("embedding", embedding_);
  add_child("position_embedding", position_embedding_);
  for (int i = 0; i < config.layers; ++i) {
    layers_.push_back(std::make_unique<EncoderLayer>(config));
    add_child("encoder.layers." + std::to_string(i), *layers_.back());
  }
  if (config.pre_norm) {
    norm_ = std::make_unique<LayerNorm>(config.dim);
    add_child("encoder.norm", *norm_);
  }
  add_child("classifier", classifier_);
}

Value EmotionTransformer::forward(Context& ctx, std::span<const std::vector<std::int32_t>> sequences) {
  const auto cls = static_cast<std::int32_t>(config_.gestures);
  std::vector<std::vector<std::int32_t>> tokens;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto& gestures = sequences[i];
    expect(static_cast<std::int64_t>(gestures.size()) <= config_.max_length,
           "EmotionTransformer: sequence {} has {} gestures, the maximum is {}", i, gestures.size(),
           config_.max_length);
    for (std::int32_t g : gestures) {
      expect(g >= 0 && g < cls, "EmotionTransformer: sequence {}: gesture {} is outside [0, {})", i, g, cls);
    }
    tokens.push_back({cls});
    tokens.back().insert(tokens.back().end(), gestures.begin(), gestures.end());
  }
  const TokenBatch batch = pad_tokens(tokens, cls + 1);
  std::vector<std::int32_t> positions(batch.ids.size());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    positions[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) % batch.length);
  }
  const Shape shape{batch.count, batch.length, config_.dim};
  Value x =
      add(ctx, embedding_.forward(ctx, batch.ids, shape), position_embedding_.forward(ctx, positions, shape));
  x = dropout(ctx, x, config_.dropout, site("dropout"));
  for (auto& layer : layers_) x = layer->forward(ctx, x, batch.lengths);
  x = first_position(ctx, x);
  return classifier_.forward(ctx, norm_ ? norm_->forward(ctx, x) : x);
}

}  // namespace mg
