// Clips through the trained networks, without gradients: embeddings, and scores for every class.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "data/clip_loader.h"
#include "models/classifier.h"
#include "models/contrastive_model.h"
#include "train/text_templates.h"

namespace mg {

// How clips are looked at.
struct ClipViews {
  ClipLoader& loader;
  const Config& config;  // that the loader was made by
  std::int64_t batch = 16;
  bool shuffle_frames = false;
  // Augmented views instead of the centre one, keyed by this.
  const RandomKey* augment = nullptr;
  std::uint32_t first_sample = 0;  // the number of the first clip, by which random test frames are drawn
};

// What gives scores [clips, labels].
using ScoreClips = std::function<std::vector<float>(const ClipViews&, std::span<const std::int64_t>)>;

// Loads clips batch by batch, in order, and without gradients; take gets each batch's frames and the number
// in clips of its first.
void for_each_batch(Context& ctx, const ClipViews& views, std::span<const std::int64_t> clips,
                    const std::function<void(const Value& frames, std::int64_t first)>& take);

// Encodes clips batch by batch, in order; take gets each batch's encoding and the number in clips of its
// first.
void encode_clips(Context& ctx, ContrastiveModel& model, const ClipViews& views,
                  std::span<const std::int64_t> clips,
                  const std::function<void(const EncodedVideo& video, std::int64_t first)>& take);

// The embeddings of texts, without gradients.
Value encode_for_scores(Context& ctx, ContrastiveModel& model, const TemplatedTexts& texts);

// Similarity / temperature of each clip and each encoded text, prompted by the clip where the model prompts:
// [clips, texts].
std::vector<float> similarity_scores(Context& ctx, ContrastiveModel& model, const Value& texts,
                                     const ClipViews& views, std::span<const std::int64_t> clips);

// The clips' embeddings: [clips, D], dense.
Tensor clip_embeddings(Context& ctx, ContrastiveModel& model, const ClipViews& views,
                       std::span<const std::int64_t> clips);

// Scores [n, classes] row by row: Error(ExitCode::failure) that names the first row with NaN or infinity, by
// name_of(row). Such a model ranks nothing, though the ranks look plausible.
void refuse_unusable_scores(std::span<const float> scores, std::size_t classes,
                            const std::function<std::string(std::size_t row)>& name_of);

// The classifier's logits for embeddings [n, D]: [n, classes].
std::vector<float> classifier_scores(Context& ctx, Classifier& classifier, const Tensor& embeddings);

}  // namespace mg
