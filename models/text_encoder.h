// The BERT family's text encoder: token and position embeddings, then post-norm Transformer layers with exact
// GELU. DistilBERT (Sanh et al. 2019) and BERT (Devlin et al. 2019; MiniLM and most sentence encoders are
// BERTs of other sizes) differ in names, in BERT's token types and in one dropout. Names and dropout places
// are those of transformers' DistilBertModel and BertModel, without BERT's pooler.
#pragma once

#include <memory>
#include <vector>

#include "engine/layers.h"
#include "models/token_batch.h"

namespace mg {

enum class TextKind { distilbert, bert };

struct TextEncoderConfig {
  TextKind kind = TextKind::distilbert;
  std::int64_t vocabulary = 30522;
  std::int64_t max_positions = 512;
  std::int64_t dim = 768;
  std::int64_t hidden_dim = 3072;
  int layers = 6;
  int heads = 12;
  float dropout = 0.1f;
  float attention_dropout = 0.1f;
};

class TextEncoderLayer : public Module {
 public:
  explicit TextEncoderLayer(const TextEncoderConfig& config);
  // x [K,L,D] -> [K,L,D]
  Value forward(Context& ctx, const Value& x, std::span<const std::int32_t> lengths);

 private:
  int heads_;
  float dropout_, attention_dropout_, attention_output_dropout_;
  Linear query_, key_, value_, attention_output_;
  LayerNorm attention_norm_;
  Linear expand_, contract_;
  LayerNorm output_norm_;
};

class TextEncoder : public Module {
 public:
  explicit TextEncoder(const TextEncoderConfig& config);
  // -> the last hidden state [K,L,D]. Every token is of type 0, as in single texts. hidden_states, if given,
  // gets the embeddings' output and then each layer's.
  Value forward(Context& ctx, const TokenBatch& tokens, std::vector<Value>* hidden_states = nullptr);

 private:
  TextEncoderConfig config_;
  Embedding word_embeddings_, position_embeddings_;
  std::unique_ptr<Embedding> token_type_embeddings_;  // BERT's
  LayerNorm embeddings_norm_;
  std::vector<std::unique_ptr<TextEncoderLayer>> layers_;
};

enum class TextPooling { cls, mean };

// One vector a text from its hidden states [K,L,D] -> [K,D]: the first token's, or the mean over tokens
// without padding.
Value pool_text(Context& ctx, const Value& hidden, std::span<const std::int32_t> lengths,
                TextPooling pooling);

}  // namespace mg
