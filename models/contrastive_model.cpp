#include "models/contrastive_model.h"

namespace mg {

ContrastiveModel::ContrastiveModel(const ContrastiveModelConfig& config)
    : config_(config),
      image_encoder_(config.video),
      text_encoder_(config.text),
      image_projection_(image_encoder_.channels(), config.embedding_dim, config.head_dropout),
      text_projection_(config.text.dim, config.embedding_dim, config.head_dropout),
      prompt_generator_(config.embedding_dim, config.prompt) {
  add_child("image_encoder", image_encoder_);
  add_child("text_encoder.model", text_encoder_);
  add_child("image_projection", image_projection_);
  add_child("text_projection", text_projection_);
  add_child("prompt_generator", prompt_generator_);
}

EncodedVideo ContrastiveModel::encode_video(Context& ctx, const Value& frames) {
  const Value features = image_encoder_.forward(ctx, frames);
  return {features, image_projection_.forward(ctx, global_average_pool(ctx, features))};
}

Value ContrastiveModel::encode_text(Context& ctx, const TokenBatch& tokens) {
  const Value hidden = text_encoder_.forward(ctx, tokens);
  return text_projection_.forward(ctx, pool_text(ctx, hidden, tokens.lengths, config_.text_pooling));
}

Value ContrastiveModel::visual_tokens(Context& ctx, const EncodedVideo& video) {
  const Shape clips = video.embedding.shape(), s = video.features.shape();
  switch (config_.prompt.tokens) {
    case PromptTokens::pooled:
      return reshape(video.embedding, {clips[0], 1, clips[1]});
    case PromptTokens::batch:
      return reshape(video.embedding, {1, clips[0], clips[1]});
    case PromptTokens::spatiotemporal:
      break;
  }
  expect(s.rank() == 5, "visual_tokens: expected features [B,T,H,W,C], got {}", to_string(s));
  return image_projection_.forward(ctx, reshape(video.features, {s[0], s[1] * s[2] * s[3], s[4]}));
}

Value ContrastiveModel::prompt(Context& ctx, const Value& texts, const EncodedVideo& video) {
  if (config_.prompt.kind == PromptKind::none) return texts;
  const Value prompted = prompt_generator_.forward(ctx, texts, visual_tokens(ctx, video));
  return config_.prompt.tokens == PromptTokens::batch ? reshape(prompted, texts.shape()) : prompted;
}

Value ContrastiveModel::prompt_own(Context& ctx, const Value& texts,
                                   std::span<const std::int32_t> text_of_clip, const EncodedVideo& video) {
  const auto clips = static_cast<std::int64_t>(text_of_clip.size());
  const std::int64_t dim = texts.shape().channels();
  Value own = gather_rows(ctx, texts, text_of_clip, {clips, dim});
  if (config_.prompt.kind == PromptKind::none) return own;
  if (config_.prompt.tokens == PromptTokens::batch) return prompt(ctx, own, video);
  const Value prompted =
      prompt_generator_.forward(ctx, reshape(own, {clips, 1, dim}), visual_tokens(ctx, video));
  return reshape(prompted, {clips, dim});
}

Value ContrastiveModel::comparable(Context& ctx, const Value& embeddings) const {
  return config_.cosine ? l2_normalize(ctx, embeddings) : embeddings;
}

Tensor ContrastiveModel::logits(Context& ctx, const Value& embedding, const Value& texts) {
  const Shape vs = embedding.shape(), ts = texts.shape();
  const bool prompted = ts.rank() == 3;
  const std::int64_t clips = vs[0], count = ts.rank() >= 2 ? ts[-2] : 0;
  expect(vs.rank() == 2 && (ts == Shape{count, vs[1]} || ts == Shape{clips, count, vs[1]}),
         "logits: expected clips [B,D] and texts [K,D] or [B,K,D], got {} and {}", to_string(vs),
         to_string(ts));
  const std::vector<float> v = to_vector(comparable(ctx, Value(embedding.data)).data);
  const std::vector<float> t = to_vector(comparable(ctx, Value(texts.data)).data);
  Tensor result(heap_allocator(), {clips, count}, Layout::dense);
  for (std::int64_t b = 0; b < clips; ++b) {
    const float* clip = v.data() + b * vs[1];
    for (std::int64_t k = 0; k < count; ++k) {
      const float* text = t.data() + (prompted ? b * count + k : k) * vs[1];
      double dot = 0;
      for (std::int64_t d = 0; d < vs[1]; ++d)
        dot += static_cast<double>(clip[d]) * static_cast<double>(text[d]);
      result.f32()[b * count + k] = static_cast<float>(dot / config_.temperature);
    }
  }
  return result;
}

}  // namespace mg
