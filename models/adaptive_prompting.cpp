#include "models/adaptive_prompting.h"

#include <algorithm>
#include <string>

namespace mg {

namespace {

const Init kInit = Init::truncated_normal(0.02f);

}  // namespace

PromptBlock::PromptBlock(std::int64_t dim, int heads, PromptKind kind)
    : heads_(heads),
      query_(dim, dim, {.bias = false, .init = kInit}),
      key_(dim, dim, {.bias = false, .init = kInit}),
      value_(dim, dim, {.bias = false, .init = kInit}),
      expand_(dim, 4 * dim, {.bias = true, .init = kInit}),
      contract_(4 * dim, dim, {.bias = true, .init = kInit}) {
  add_child("cross_attention.query_transform", query_);
  add_child("cross_attention.key_transform", key_);
  add_child("cross_attention.value_transform", value_);
  if (kind == PromptKind::xclip) {
    output_ = std::make_unique<Linear>(dim, dim, LinearOptions{.bias = true, .init = kInit});
    attention_norm_ = std::make_unique<LayerNorm>(dim);
    feed_forward_norm_ = std::make_unique<LayerNorm>(dim);
    add_child("cross_attention.output_projection", *output_);
    add_child("norm_for_attention", *attention_norm_);
    add_child("norm_for_ffn", *feed_forward_norm_);
  }
  add_child("feed_forward_net.0", expand_);
  add_child("feed_forward_net.3", contract_);
}

Value PromptBlock::forward(Context& ctx, const Value& text, const Value& visual) {
  const std::int64_t clips = visual.shape()[0];
  const bool shared = text.shape().rank() == 2;  // the first block: no text depends on a clip yet
  Value query = query_.forward(ctx, attention_norm_ ? attention_norm_->forward(ctx, text) : text);
  if (shared) query = repeat(ctx, query, clips);
  Value heads = attention(ctx, query, key_.forward(ctx, visual), value_.forward(ctx, visual),
                          {.heads = heads_, .key_lengths = {}});
  if (output_) heads = output_->forward(ctx, heads);
  const Value attended = add(ctx, shared ? repeat(ctx, text, clips) : text, heads);
  const Value normed = feed_forward_norm_ ? feed_forward_norm_->forward(ctx, attended) : attended;
  const Value hidden = expand_.forward(ctx, normed, Activation::quick_gelu);
  return add(ctx, attended, contract_.forward(ctx, hidden));
}

AdaptivePrompting::AdaptivePrompting(std::int64_t dim, const PromptConfig& config) : kind_(config.kind) {
  if (kind_ == PromptKind::none) return;
  expect(config.layers >= 1, "AdaptivePrompting: expected at least one layer, got {}", config.layers);
  const int heads = config.heads > 0 ? config.heads : static_cast<int>(std::max<std::int64_t>(1, dim / 64));
  if (kind_ == PromptKind::xclip) {
    visual_norm_ = std::make_unique<LayerNorm>(dim);
    add_child("visual_feature_normalizer", *visual_norm_);
  }
  for (int i = 0; i < config.layers; ++i) {
    blocks_.push_back(std::make_unique<PromptBlock>(dim, heads, kind_));
    add_child("refinement_blocks." + std::to_string(i), *blocks_.back());
  }
  const Shape alphas{config.scalar_alpha ? 1 : dim};
  alpha_ = &add_parameter("prompt_scaling_factor", alphas, Init::constant(config.alpha));
}

Value AdaptivePrompting::forward(Context& ctx, const Value& text, const Value& visual) {
  if (kind_ == PromptKind::none) return text;
  const Shape ts = text.shape(), vs = visual.shape();
  const bool shared = ts.rank() == 2;
  expect(vs.rank() == 3 && ts.channels() == vs.channels() && (shared || (ts.rank() == 3 && ts[0] == vs[0])),
         "AdaptivePrompting: expected texts [K,D] or [B,K,D] and visual tokens [B,M,D], got {} and {}",
         to_string(ts), to_string(vs));
  const Value context = visual_norm_ ? visual_norm_->forward(ctx, visual) : visual;
  Value prompt = text;
  for (auto& block : blocks_) prompt = block->forward(ctx, prompt, context);
  return add(ctx, shared ? repeat(ctx, text, vs[0]) : text, scale_channels(ctx, prompt, alpha_->on(ctx)));
}

}  // namespace mg
