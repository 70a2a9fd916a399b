// Adaptive prompting: texts are refined by what a clip shows, t^ = t + alpha * refined(t, visual).
//
//   xclip      X-CLIP's video-specific prompt (Ni et al., ECCV 2022), as in the authors' released code:
//   blocks of
//              pre-norm cross-attention and feed-forward, both with residuals, on normalised visual tokens
//   paper_eq   the paper's eq. 1-2 to the letter: att = t + softmax(QK^T / sqrt(d)) V, refined = att +
//   FFN(att),
//              without norms, biases of Q, K, V, or an output projection
//
// FFN is 4x wide with QuickGELU, and attention has a head a 64 channels, where the paper leaves both open.
#pragma once

#include <memory>
#include <vector>

#include "engine/layers.h"

namespace mg {

enum class PromptKind { none, xclip, paper_eq };

// What of a clip the texts attend to.
enum class PromptTokens {
  spatiotemporal,  // each position of layer4, projected
  pooled,          // the clip's embedding alone. The softmax over one key is 1 whatever the query: attention
                   // degenerates to a linear map of the clip, and queries and keys learn nothing
  batch,           // the embeddings of all clips of the batch: a clip's result depends on its batch mates
};

// Whose clip prompts text j in the similarity of clip i and text j.
enum class PromptCondition {
  each,  // clip i: what can be known of a clip whose label is asked for
  own,   // in training the clip that text j belongs to, eq. 1-4 read literally: t_j then carries v_j, and the
         // pair can be found without reading the text. For parity only
};

struct PromptConfig {
  PromptKind kind = PromptKind::xclip;
  PromptTokens tokens = PromptTokens::spatiotemporal;
  PromptCondition condition = PromptCondition::each;
  int heads = 0;  // 0: one a 64 channels, at least one
  int layers = 1;
  float alpha = 0.1f;         // the start of the learned factor
  bool scalar_alpha = false;  // one factor, as in the paper; else one a channel, as in the code
};

class PromptBlock : public Module {
 public:
  PromptBlock(std::int64_t dim, int heads, PromptKind kind);
  // text [K,D] or [B,K,D], visual [B,M,D] -> [B,K,D]
  Value forward(Context& ctx, const Value& text, const Value& visual);

 private:
  int heads_;
  Linear query_, key_, value_;
  Linear expand_, contract_;
  // xclip's
  std::unique_ptr<Linear> output_;
  std::unique_ptr<LayerNorm> attention_norm_, feed_forward_norm_;
};

class AdaptivePrompting : public Module {
 public:
  AdaptivePrompting(std::int64_t dim, const PromptConfig& config);
  // Every text as prompted by every set of visual tokens: text [K,D] or, already one set of texts a clip,
  // [B,K,D]; visual [B,M,D] -> [B,K,D]. With PromptKind::none there are no parameters, and the texts come
  // back as they are.
  Value forward(Context& ctx, const Value& text, const Value& visual);

 private:
  PromptKind kind_;
  std::unique_ptr<LayerNorm> visual_norm_;
  std::vector<std::unique_ptr<PromptBlock>> blocks_;
  Parameter* alpha_ = nullptr;
};

}  // namespace mg
