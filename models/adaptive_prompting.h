// Adaptive prompting: texts are refined by what a clip shows, t^ = t + alpha * blocks(t, LayerNorm(visual)),
// each block being pre-norm cross-attention and a feed-forward with QuickGELU, both with residuals (X-CLIP's
// video-specific prompt, Ni et al., ECCV 2022; paper eq. 1-2; names as in the authors' released code).
#pragma once

#include <memory>
#include <vector>

#include "engine/layers.h"

namespace mg {

enum class PromptKind { none, xclip };

struct PromptConfig {
  PromptKind kind = PromptKind::xclip;
  int heads = 0;  // 0: one a 64 channels, at least one
  int layers = 1;
  float alpha = 0.1f;  // the start of the learned factor, one a channel
};

class PromptBlock : public Module {
 public:
  PromptBlock(std::int64_t dim, int heads);
  // text [K,D] or [B,K,D], visual [B,M,D] -> [B,K,D]
  Value forward(Context& ctx, const Value& text, const Value& visual);

 private:
  int heads_;
  Linear query_, key_, value_, output_;
  LayerNorm attention_norm_, feed_forward_norm_;
  Linear expand_, contract_;
};

class AdaptivePrompting : public Module {
 public:
  AdaptivePrompting(std::int64_t dim, const PromptConfig& config);
  // Every text as prompted by every clip: text [K,D], visual tokens [B,M,D] -> [B,K,D]. With
  // PromptKind::none there are no parameters, and the texts come back as they are, [K,D].
  Value forward(Context& ctx, const Value& text, const Value& visual);
  bool uses_visual_tokens() const { return kind_ != PromptKind::none; }

 private:
  PromptKind kind_;
  std::unique_ptr<LayerNorm> visual_norm_;
  std::vector<std::unique_ptr<PromptBlock>> blocks_;
  Parameter* alpha_ = nullptr;
};

}  // namespace mg
