// The first stage's model: R(2+1)D and a BERT-family text encoder with a projection head each into one
// embedding space, and adaptive prompting of the texts by the clips. Names as in the authors' released code:
// image_encoder, text_encoder.model, image_projection, text_projection, prompt_generator.
#pragma once

#include "models/adaptive_prompting.h"
#include "models/projection_head.h"
#include "models/r2plus1d.h"
#include "models/text_encoder.h"

namespace mg {

struct ContrastiveModelConfig {
  R2Plus1dConfig video;
  TextEncoderConfig text;
  TextPooling text_pooling = TextPooling::cls;
  std::int64_t embedding_dim = 256;
  float head_dropout = 0.1f;
  PromptConfig prompt;
  float temperature = 0.05f;
  bool cosine = true;  // else similarity is the dot product of embeddings as they are
};

struct EncodedVideo {
  Value features;   // [B,T',H',W',C], layer4
  Value embedding;  // [B,D], not normalised
};

class ContrastiveModel : public Module {
 public:
  explicit ContrastiveModel(const ContrastiveModelConfig& config);

  // Normalised frames [B,T,H,W,3].
  EncodedVideo encode_video(Context& ctx, const Value& frames);
  // -> [K,D], not normalised
  Value encode_text(Context& ctx, const TokenBatch& tokens);
  // What the texts attend to: [B,M,D]; with spatio-temporal tokens each position of layer4 (t, then h, then
  // w) through the image projection. With tokens of the whole batch [1,B,D].
  Value visual_tokens(Context& ctx, const EncodedVideo& video);
  // The texts [K,D] as each clip sees them: [B,K,D]; [K,D] without prompting and where all clips share the
  // visual tokens.
  Value prompt(Context& ctx, const Value& texts, const EncodedVideo& video);
  // The text of each clip as that clip sees it (PromptCondition::own): texts [K,D], text_of_clip [B] ->
  // [B,D].
  Value prompt_own(Context& ctx, const Value& texts, std::span<const std::int32_t> text_of_clip,
                   const EncodedVideo& video);

  // Embeddings as their dot product is the model's similarity.
  Value comparable(Context& ctx, const Value& embeddings) const;
  // For evaluation: similarity / temperature of clips [B,D] and texts [K,D] or [B,K,D] -> [B,K],
  // dense.
  Tensor logits(Context& ctx, const Value& embedding, const Value& texts);

  R2Plus1d& image_encoder() { return image_encoder_; }
  TextEncoder& text_encoder() { return text_encoder_; }
  ProjectionHead& image_projection() { return image_projection_; }
  ProjectionHead& text_projection() { return text_projection_; }
  AdaptivePrompting& prompt_generator() { return prompt_generator_; }
  const ContrastiveModelConfig& config() const { return config_; }

 private:
  ContrastiveModelConfig config_;
  R2Plus1d image_encoder_;
  TextEncoder text_encoder_;
  ProjectionHead image_projection_, text_projection_;
  AdaptivePrompting prompt_generator_;
};

}  // namespace mg
