#include "train/stages/emotion_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/nearest_name.h"
#include "models/wordpiece.h"
#include "train/metrics.h"
#include "train/settings.h"
#include "train/stages/classifier_stage.h"

namespace mg {

namespace {

constexpr std::size_t kVideosAtOnce = 32;
constexpr std::size_t kMaxCaptionTokens = 100'000;  // of one gesture: all, but for a damaged file

// The clips of each recording, by start.
std::map<std::string, std::vector<std::size_t>> clips_by_video(const Manifest& manifest) {
  std::map<std::string, std::vector<std::size_t>> videos;
  for (std::size_t i = 0; i < manifest.clips.size(); ++i) videos[manifest.clips[i].video].push_back(i);
  const auto start = [&](std::size_t i) {
    const Clip& clip = manifest.clips[i];
    return clip.frames ? static_cast<double>(clip.frames->first) : clip.time ? clip.time->start : 0;
  };
  for (auto& [video, clips] : videos) {
    std::stable_sort(clips.begin(), clips.end(), [&](auto a, auto b) { return start(a) < start(b); });
  }
  return videos;
}

std::string split_of(const VideoEmotion& row, const EmotionLabels& labels, const Manifest& manifest,
                     const std::vector<std::size_t>& clips) {
  if (!row.split.empty()) return row.split;
  std::set<std::string> splits;
  for (std::size_t clip : clips) splits.insert(manifest.clips[clip].split);
  if (splits.size() > 1) {
    throw Error(ExitCode::data, "{}:{}: video '{}' has no split, and its clips lie in several: {}",
                labels.path.string(), row.line, row.video, fmt::join(splits, ", "));
  }
  return splits.empty() || splits.begin()->empty() ? "train" : *splits.begin();
}

}  // namespace

std::vector<std::string> distinct_emotions(const EmotionLabels& labels) {
  std::set<std::string> emotions;
  for (const VideoEmotion& row : labels.videos) emotions.insert(row.emotion);
  return {emotions.begin(), emotions.end()};
}

GestureTokens gesture_tokens(const RunDirectory& run, const std::vector<GestureClass>& classes) {
  GestureTokens tokens;
  if (run.config().text("emotion.tokens") == "classes") {
    tokens.kinds = static_cast<std::int64_t>(classes.size());
    for (std::int32_t k = 0; k < tokens.kinds; ++k) tokens.of_class.push_back({k});
    return tokens;
  }
  const WordPiece pieces = WordPiece::load(run.file("vocab.txt"));
  tokens.kinds = static_cast<std::int64_t>(pieces.size());
  for (const GestureClass& gesture : classes) {
    const std::vector<std::int32_t> ids = pieces.encode(gesture.caption, kMaxCaptionTokens);
    tokens.of_class.emplace_back(ids.begin() + 1, ids.end() - 1);  // without [CLS] and [SEP]
  }
  return tokens;
}

std::vector<EmotionSample> emotion_samples(const EmotionLabels& labels,
                                           const std::vector<std::string>& emotions, const Manifest& manifest,
                                           const std::vector<std::int32_t>& gestures,
                                           const GestureTokens& tokens, std::int64_t max_length) {
  auto videos = clips_by_video(manifest);
  std::vector<EmotionSample> samples;
  for (const VideoEmotion& row : labels.videos) {
    const auto found = std::lower_bound(emotions.begin(), emotions.end(), row.emotion);
    if (found == emotions.end() || *found != row.emotion) {
      throw Error(ExitCode::data, "{}:{}: emotion '{}' is none of those that the model knows: {}",
                  labels.path.string(), row.line, row.emotion, fmt::join(emotions, ", "));
    }
    EmotionSample sample{.video = row.video,
                         .split = split_of(row, labels, manifest, videos[row.video]),
                         .tokens = {},
                         .emotion = static_cast<std::int32_t>(found - emotions.begin())};
    for (std::size_t clip : videos[row.video]) {
      if (gestures[clip] < 0) continue;
      const auto& more = tokens.of_class[static_cast<std::size_t>(gestures[clip])];
      sample.tokens.insert(sample.tokens.end(), more.begin(), more.end());
    }
    const auto excess = static_cast<std::int64_t>(sample.tokens.size()) - max_length;
    if (excess > 0) sample.tokens.erase(sample.tokens.begin(), sample.tokens.begin() + excess);
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::vector<std::int32_t> emotions_of(const std::vector<EmotionSample>& samples) {
  std::vector<std::int32_t> emotions(samples.size());
  std::transform(samples.begin(), samples.end(), emotions.begin(), [](const auto& s) { return s.emotion; });
  return emotions;
}

std::vector<float> emotion_scores(Context& ctx, EmotionTransformer& model,
                                  const std::vector<EmotionSample>& samples) {
  const Restore<Tape*> no_tape(ctx.tape, nullptr);
  const Restore<bool> inference(ctx.training, false);
  std::vector<float> scores;
  for (std::size_t first = 0; first < samples.size(); first += kVideosAtOnce) {
    std::vector<std::vector<std::int32_t>> sequences;
    for (std::size_t i = first; i < std::min(samples.size(), first + kVideosAtOnce); ++i) {
      sequences.push_back(samples[i].tokens);
    }
    const std::vector<float> logits = to_vector(model.forward(ctx, sequences).data);
    scores.insert(scores.end(), logits.begin(), logits.end());
  }
  return scores;
}

EmotionStage::EmotionStage(Context& ctx, EmotionTransformer& model, const std::vector<EmotionSample>& samples,
                           std::int64_t token_kinds, std::int64_t emotions, const Config& config)
    : ctx_(ctx),
      model_(model),
      token_kinds_(token_kinds),
      emotions_(emotions),
      config_(config),
      optimizer_(
          {{"emotion", model.parameters(), config.real("emotion.lr"), config.real("emotion.weight_decay")}},
          {.max_norm = config.real("emotion.max_norm")}) {
  for (const EmotionSample& sample : samples) {
    if (sample.split == "train") train_.push_back(sample);
    if (sample.split == "val") val_.push_back(sample);
  }
  if (train_.empty()) throw Error(ExitCode::data, "no video with an emotion is in the train split");
}

StageOptions EmotionStage::options() const {
  return {.samples = static_cast<std::int64_t>(train_.size()),
          .batch = config_.integer("emotion.batch"),
          .epochs = config_.integer("emotion.epochs"),
          .schedule = schedule(config_, "emotion")};
}

Late<float> EmotionStage::forward_backward(const StepPlan& plan) {
  const double noise = config_.real("emotion.token_noise");
  const RandomKey key{ctx_.seed, static_cast<std::uint32_t>(plan.step), random_site("emotion.noise")};
  std::vector<std::vector<std::int32_t>> sequences;
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < plan.samples.size(); ++i) {
    const EmotionSample& sample = train_[static_cast<std::size_t>(plan.samples[i])];
    sequences.push_back(sample.tokens);
    labels.push_back(sample.emotion);
    for (std::size_t g = 0; g < sample.tokens.size(); ++g) {
      const Philox4 bits = key.draw(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(g));
      if (uniform01(bits.v[0]) >= noise) continue;
      sequences.back()[g] = static_cast<std::int32_t>(bits.v[1] % static_cast<std::uint64_t>(token_kinds_));
    }
  }
  Tape tape;
  const Restore<Tape*> recording(ctx_.tape, &tape);
  const Restore<bool> training(ctx_.training, true);
  const Tensor targets = smoothed_targets(labels, emotions_, 0);
  const Value loss = cross_entropy(ctx_, model_.forward(ctx_, sequences), targets);
  tape.backward(ctx_, loss);
  return ctx_.read_later<float>(loss.data);
}

std::optional<StageFigures> EmotionStage::evaluate(std::int64_t, bool) {
  if (val_.empty()) return {};
  const Classification c = classify(emotion_scores(ctx_, model_, val_), emotions_of(val_),
                                    std::vector<std::string>(static_cast<std::size_t>(emotions_)));
  return StageFigures{c.top1, c.top5};
}

}  // namespace mg
