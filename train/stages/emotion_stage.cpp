#include "train/stages/emotion_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "engine/names.h"
#include "models/wordpiece.h"
#include "train/gesture_data.h"
#include "train/gesture_scores.h"
#include "train/metrics.h"
#include "train/settings.h"
#include "train/stages/classifier_stage.h"

namespace mg {

namespace {

constexpr std::size_t kVideosAtOnce = 32;
constexpr std::size_t kMaxCaptionTokens = 100'000;  // of one gesture: all, but for a damaged file

bool is_unread(const EmotionSample& sample) { return sample.tokens.empty(); }

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
  const EmotionJoin join = join_emotions(labels, manifest);
  std::vector<EmotionSample> samples;
  for (std::size_t r = 0; r < labels.videos.size(); ++r) {
    const VideoEmotion& row = labels.videos[r];
    const auto found = std::find(emotions.begin(), emotions.end(), row.emotion);
    if (found == emotions.end()) {
      throw Error(ExitCode::data,
                  "{}:{}: emotion '{}' is none of those that the model knows: {}; the nearest is {}",
                  labels.path.string(), row.line, row.emotion, fmt::join(emotions, ", "),
                  nearest_described(row.emotion, emotions));
    }
    if (join.clips[r].empty()) continue;
    EmotionSample sample{.video = row.video,
                         .split = join.splits[r],
                         .tokens = {},
                         .emotion = static_cast<std::int32_t>(found - emotions.begin())};
    for (const std::size_t clip : join.clips[r]) {
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

EmotionJoin join_with_notes(const EmotionLabels& labels, const Manifest& manifest) {
  print_notes(labels.notes);
  EmotionJoin join = join_emotions(labels, manifest);
  print_notes(join.notes);
  return join;
}

void check_emotions(const EmotionLabels& labels, const Manifest& manifest) {
  const std::size_t emotions = distinct_emotions(labels).size();
  if (emotions < 2) {
    throw Error(ExitCode::data, "{}: expected two emotions at least, got {}", labels.path.string(), emotions);
  }
  const EmotionJoin join = join_with_notes(labels, manifest);
  for (std::size_t r = 0; r < join.clips.size(); ++r) {
    if (!join.clips[r].empty() && join.splits[r] == "train") return;
  }
  throw Error(ExitCode::data, "{}: no video with clips in {} is in the split 'train'", labels.path.string(),
              manifest.path.string());
}

void note_unread(const std::vector<EmotionSample>& samples, const std::filesystem::path& emotions) {
  std::string names;
  std::int64_t count = 0;
  for (const EmotionSample& sample : samples) {
    if (is_unread(sample)) names += fmt::format("{}'{}'", count++ > 0 ? ", " : "", sample.video);
  }
  if (count == 0) return;
  print_notes({fmt::format(
      "{}: no gesture is known of {} of {} videos, as none of their clips could be decoded: training "
      "leaves them out, and evaluation counts them as wrong: {}",
      emotions.string(), count, samples.size(), names)});
}

std::vector<std::int32_t> emotions_of(const std::vector<EmotionSample>& samples) {
  std::vector<std::int32_t> emotions(samples.size());
  std::transform(samples.begin(), samples.end(), emotions.begin(), [](const auto& s) { return s.emotion; });
  return emotions;
}

std::vector<float> emotion_scores(Context& ctx, EmotionTransformer& model,
                                  const std::vector<EmotionSample>& samples, std::int64_t emotions) {
  const Restore<Tape*> no_tape(ctx.tape, nullptr);
  const Restore<bool> inference(ctx.training, false);
  std::vector<float> scores(samples.size() * static_cast<std::size_t>(emotions),
                            -std::numeric_limits<float>::infinity());
  std::vector<std::size_t> read;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!is_unread(samples[i])) read.push_back(i);
  }
  for (std::size_t first = 0; first < read.size(); first += kVideosAtOnce) {
    const std::size_t end = std::min(read.size(), first + kVideosAtOnce);
    std::vector<std::vector<std::int32_t>> sequences;
    for (std::size_t i = first; i < end; ++i) sequences.push_back(samples[read[i]].tokens);
    const std::vector<float> logits = to_vector(model.forward(ctx, sequences).data);
    refuse_unusable_scores(logits, static_cast<std::size_t>(emotions),
                           [&](std::size_t row) { return samples[read[first + row]].video; });
    for (std::size_t i = first; i < end; ++i) {
      std::copy_n(logits.begin() + static_cast<std::ptrdiff_t>(i - first) * emotions, emotions,
                  scores.begin() + static_cast<std::ptrdiff_t>(read[i]) * emotions);
    }
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
    if (sample.split == "train" && !is_unread(sample)) train_.push_back(sample);
    if (sample.split == "val") val_.push_back(sample);
  }
  if (train_.empty())
    throw Error(ExitCode::data,
                "no video of the train split has both an emotion and a clip that could be decoded");
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
  const Classification c = classify(emotion_scores(ctx_, model_, val_, emotions_), emotions_of(val_),
                                    std::vector<std::string>(static_cast<std::size_t>(emotions_)));
  return StageFigures{c.top1, c.top5};
}

}  // namespace mg
