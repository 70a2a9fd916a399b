#include "train/gesture_scores.h"

#include <algorithm>
#include <cmath>

#include "train/machine.h"

namespace mg {

namespace {

constexpr std::size_t kBatchesInFlight = 3;

class Inference {
 public:
  explicit Inference(Context& ctx) : tape_(ctx.tape, nullptr), training_(ctx.training, false) {}

 private:
  Restore<Tape*> tape_;
  Restore<bool> training_;
};

}  // namespace

void for_each_batch(Context& ctx, const ClipViews& views, std::span<const std::int64_t> clips,
                    const std::function<void(const Value& frames, std::int64_t first)>& take) {
  const Inference inference(ctx);
  const auto total = static_cast<std::int64_t>(clips.size());
  InputBatches batches(ctx, views.loader, views.config);
  std::int64_t requested = 0;
  for (std::int64_t first = 0; first < total; first += views.batch) {
    while (requested < total && views.loader.in_flight() < kBatchesInFlight) {
      const std::int64_t end = std::min(total, requested + views.batch);
      BatchRequest request;
      request.clips.assign(clips.begin() + requested, clips.begin() + end);
      request.first_sample = views.first_sample + static_cast<std::uint32_t>(requested);
      request.augment = views.augment != nullptr;
      request.shuffle_frames = views.shuffle_frames;
      // Not of ctx's step: a test sees the same frames whenever it is made, also by a continued run.
      request.key =
          views.augment != nullptr ? *views.augment : RandomKey{ctx.seed, 0, random_site("shuffle")};
      views.loader.request(std::move(request));
      requested = end;
    }
    take(Value(batches.next().frames), first);
    batches.copy_ahead();
  }
}

void encode_clips(Context& ctx, ContrastiveModel& model, const ClipViews& views,
                  std::span<const std::int64_t> clips,
                  const std::function<void(const EncodedVideo& video, std::int64_t first)>& take) {
  for_each_batch(ctx, views, clips, [&](const Value& frames, std::int64_t first) {
    take(model.encode_video(ctx, frames), first);
  });
}

Value encode_for_scores(Context& ctx, ContrastiveModel& model, const TemplatedTexts& texts) {
  const Inference inference(ctx);
  return encode_text(ctx, model, texts);
}

std::vector<float> similarity_scores(Context& ctx, ContrastiveModel& model, const Value& texts,
                                     const ClipViews& views, std::span<const std::int64_t> clips) {
  const Inference inference(ctx);
  std::vector<float> scores;
  encode_clips(ctx, model, views, clips, [&](const EncodedVideo& video, std::int64_t) {
    const auto logits = to_vector(model.logits(ctx, video.embedding, model.prompt(ctx, texts, video)));
    scores.insert(scores.end(), logits.begin(), logits.end());
  });
  return scores;
}

Tensor clip_embeddings(Context& ctx, ContrastiveModel& model, const ClipViews& views,
                       std::span<const std::int64_t> clips) {
  const std::int64_t dim = model.config().embedding_dim;
  Tensor all(heap_allocator(), {static_cast<std::int64_t>(clips.size()), dim}, Layout::dense);
  encode_clips(ctx, model, views, clips, [&](const EncodedVideo& video, std::int64_t first) {
    const std::vector<float> batch = to_vector(video.embedding.data);
    std::copy(batch.begin(), batch.end(), all.f32() + first * dim);
  });
  return all;
}

void refuse_unusable_scores(std::span<const float> scores, std::size_t classes,
                            const std::function<std::string(std::size_t row)>& name_of) {
  const auto bad = std::find_if(scores.begin(), scores.end(), [](float s) { return !std::isfinite(s); });
  if (bad == scores.end()) return;
  throw Error(
      ExitCode::failure,
      "{}: the model's scores are not finite ({}): numbers overflow on this input, because the training "
      "diverged or the model gets inputs of another scale than it was trained on",
      name_of(static_cast<std::size_t>(bad - scores.begin()) / classes), *bad);
}

std::vector<float> classifier_scores(Context& ctx, Classifier& classifier, const Tensor& embeddings) {
  const Inference inference(ctx);
  if (embeddings.rows() == 0) return {};
  return to_vector(classifier.forward(ctx, Value(ctx.activation(embeddings))).data);
}

}  // namespace mg
