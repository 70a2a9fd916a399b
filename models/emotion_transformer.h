// Emotion from the sequence of a video's recognised gestures: embeddings of gesture classes behind a CLS
// token, learned positions, Transformer encoder layers (Vaswani et al. 2017), and a linear layer on CLS.
// Names as in PyTorch's nn.TransformerEncoder, the packed in_proj split into q_proj, k_proj and v_proj.
#pragma once

#include <memory>
#include <vector>

#include "engine/layers.h"

namespace mg {

struct EmotionTransformerConfig {
  std::int64_t gestures = 32;
  std::int64_t emotions = 2;
  std::int64_t dim = 128;
  std::int64_t hidden_dim = 512;
  std::int64_t max_length = 512;  // gestures, without CLS
  int layers = 3;
  int heads = 8;
  float dropout = 0.1f;
  bool pre_norm = true;
};

class EncoderLayer : public Module {
 public:
  explicit EncoderLayer(const EmotionTransformerConfig& config);
  // x [B,L,D] -> [B,L,D]
  Value forward(Context& ctx, const Value& x, std::span<const std::int32_t> lengths);

 private:
  Value self_attention(Context& ctx, const Value& x, std::span<const std::int32_t> lengths);
  Value feed_forward(Context& ctx, const Value& x);

  int heads_;
  float dropout_;
  bool pre_norm_;
  Linear q_proj_, k_proj_, v_proj_, out_proj_;
  Linear linear1_, linear2_;
  LayerNorm norm1_, norm2_;
};

class EmotionTransformer : public Module {
 public:
  explicit EmotionTransformer(const EmotionTransformerConfig& config);
  // Gesture classes in time order, one sequence a video (none may be empty of videos, a sequence may be empty
  // of gestures) -> logits [B, emotions]. A class outside [0, gestures) or a sequence longer than max_length
  // is an Error.
  Value forward(Context& ctx, std::span<const std::vector<std::int32_t>> sequences);

 private:
  EmotionTransformerConfig config_;
  Embedding embedding_, position_embedding_;
  std::vector<std::unique_ptr<EncoderLayer>> layers_;
  std::unique_ptr<LayerNorm> norm_;  // with pre_norm
  Linear classifier_;
};

}  // namespace mg
