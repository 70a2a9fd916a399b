// DistilBERT (Sanh et al. 2019): token and position embeddings, then post-norm Transformer layers with exact
// GELU. Topology, names and dropout places are those of transformers' DistilBertModel.
#pragma once

#include <memory>
#include <vector>

#include "engine/layers.h"
#include "models/token_batch.h"

namespace mg {

struct DistilBertConfig {
  std::int64_t vocabulary = 30522;
  std::int64_t max_positions = 512;
  std::int64_t dim = 768;
  std::int64_t hidden_dim = 3072;
  int layers = 6;
  int heads = 12;
  float dropout = 0.1f;
  float attention_dropout = 0.1f;
};

class DistilBertLayer : public Module {
 public:
  explicit DistilBertLayer(const DistilBertConfig& config);
  // x [K,L,D] -> [K,L,D]
  Value forward(Context& ctx, const Value& x, std::span<const std::int32_t> lengths);

 private:
  int heads_;
  float dropout_, attention_dropout_;
  Linear q_lin_, k_lin_, v_lin_, out_lin_;
  LayerNorm sa_layer_norm_;
  Linear lin1_, lin2_;
  LayerNorm output_layer_norm_;
};

class DistilBert : public Module {
 public:
  explicit DistilBert(const DistilBertConfig& config);
  // -> the last hidden state [K,L,D]. hidden_states, if given, gets the embeddings' output and then each
  // layer's.
  Value forward(Context& ctx, const TokenBatch& tokens, std::vector<Value>* hidden_states = nullptr);

 private:
  DistilBertConfig config_;
  Embedding word_embeddings_, position_embeddings_;
  LayerNorm embeddings_layer_norm_;
  std::vector<std::unique_ptr<DistilBertLayer>> layers_;
};

enum class TextPooling { cls, mean };

// One vector a text from its hidden states [K,L,D] -> [K,D]: the first token's, or the mean over tokens
// without padding.
Value pool_text(Context& ctx, const Value& hidden, std::span<const std::int32_t> lengths,
                TextPooling pooling);

}  // namespace mg
