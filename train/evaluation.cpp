#include "train/evaluation.h"

#include <algorithm>
#include <limits>

#include "engine/file.h"
#include "engine/text_file.h"
#include "train/machine.h"
#include "train/predictions.h"
#include "train/settings.h"
#include "train/stages/emotion_stage.h"

namespace mg {

namespace {

// Whether a sample's scores are of a clip that was read.
bool was_read(std::span<const float> scores) {
  return scores.empty() || scores[0] != -std::numeric_limits<float>::infinity();
}

std::string predictions_text(const PredictionTable& table, const std::vector<float>& scores,
                             const Classification& figures, const std::vector<std::int32_t>& targets,
                             const std::function<std::vector<std::string>(std::size_t)>& sample) {
  const std::size_t classes = figures.labels.size();
  std::string text = table.header();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto row = std::span(scores).subspan(i * classes, classes);
    const auto predicted = was_read(row) ? std::optional(static_cast<std::size_t>(figures.predicted[i]))
                                         : std::optional<std::size_t>();
    text += table.line(sample(i), figures.labels[static_cast<std::size_t>(targets[i])], predicted, row);
  }
  return text;
}

nlohmann::ordered_json optimum_of(const std::filesystem::path& truth, const std::string& split) {
  const std::string text = read_text_file(truth, ExitCode::data);
  try {
    const auto optimum = nlohmann::ordered_json::parse(text).at("optimum");
    return {{"expected", optimum.at("expected")}, {"split", optimum.at(split)}};
  } catch (const nlohmann::json::exception& e) {
    throw Error(ExitCode::data, "{}: expected the truth.json of `mgtrain synth`: {}", truth.string(),
                e.what());
  }
}

bool is_of_best(const Evaluation& e) { return e.json.at("checkpoint").at("which") == "best"; }

}  // namespace

std::filesystem::path result_file(const RunDirectory& run, const std::string& stage,
                                  const std::string& split) {
  return run.results() / fmt::format("{}-{}.json", stage, split);
}

void save_evaluation(const std::filesystem::path& folder, const Evaluation& e) {
  std::error_code status;
  std::filesystem::create_directories(folder, status);  // what fails shows in writing
  const std::string name =
      fmt::format("{}-{}{}{}{}", e.json.at("stage").get<std::string>(), e.json.at("split").get<std::string>(),
                  e.json.contains("zero_shot") ? "-zero-shot" : "",
                  e.json.contains("shuffled") ? "-shuffled" : "", is_of_best(e) ? "-best" : "");
  write_whole_file(folder / (name + ".csv"), e.predictions);
  write_whole_file(folder / (name + ".json"), e.json.dump(2) + "\n");
}

std::string to_text(const Evaluation& e, bool per_class) {
  return fmt::format(
      "{} on {}{}{}{}\n{}{}\n", e.json.at("stage").get<std::string>(), e.json.at("split").get<std::string>(),
      e.json.contains("zero_shot") ? ", zero-shot" : "",
      e.json.contains("shuffled") ? ", frames shuffled" : "",
      is_of_best(e) ? fmt::format(", best checkpoint (epoch {})", e.json["checkpoint"]["epoch"].dump()) : "",
      to_table(e.figures, per_class), e.remarks);
}

std::vector<float> scores_of(Context& ctx, const Config& config, const GestureData& data,
                             const std::vector<std::int64_t>& clips, std::size_t width, bool shuffle_frames,
                             const ScoreClips& score) {
  ClipLoader loader = make_loader(ctx, data.frames(), config);
  std::vector<std::int64_t> readable;
  std::copy_if(clips.begin(), clips.end(), std::back_inserter(readable),
               [&](auto c) { return data.readable(c); });
  const std::vector<float> some =
      score({.loader = loader, .config = config, .shuffle_frames = shuffle_frames}, readable);
  refuse_unusable_scores(some, width, [&](std::size_t row) {
    return data.manifest().clips[static_cast<std::size_t>(readable[row])].name;
  });
  std::vector<float> all;
  auto next = some.begin();
  for (std::int64_t clip : clips) {
    if (data.readable(clip)) {
      all.insert(all.end(), next, next + static_cast<std::ptrdiff_t>(width));
      next += static_cast<std::ptrdiff_t>(width);
    } else {
      all.insert(all.end(), width, -std::numeric_limits<float>::infinity());
    }
  }
  return all;
}

Evaluation evaluation_of(const GestureData& data, const std::string& split,
                         const std::vector<std::int64_t>& clips, const std::vector<float>& scores,
                         const std::vector<std::int32_t>& targets, const std::vector<std::string>& labels) {
  Evaluation result;
  result.figures = classify(scores, targets, labels);
  result.json = to_json(result.figures);
  result.json["split"] = split;
  result.json["manifest"] = data.manifest().path.string();
  result.predictions =
      predictions_text({{"clip", "range"}, labels}, scores, result.figures, targets, [&](std::size_t i) {
        const Clip& clip = data.manifest().clips[static_cast<std::size_t>(clips[i])];
        return std::vector<std::string>{clip.name, range_text(clip)};
      });
  return result;
}

Evaluation evaluate_gestures(Context& ctx, GestureModel& model, const GestureData& data,
                             const std::string& split_name, GestureMode mode, bool shuffle_frames) {
  const std::string split = standard_split(split_name);
  const std::vector<std::int64_t> clips = require_split(data.manifest(), split);
  require_known_labels(
      data.manifest(), clips, model.classes(), "the model knows",
      "; --labels manifest measures what a model does with labels that it was not trained on");
  const std::vector<std::string> labels = labels_of(model.classes());
  const auto scores = scores_of(
      ctx, model.config(), data, clips, labels.size(), shuffle_frames,
      [&](const ClipViews& views, const auto& readable) { return model.scores(mode, views, readable); });
  Evaluation result = evaluation_of(data, split, clips, scores,
                                    select(class_numbers(data.manifest(), model.classes()), clips), labels);
  result.json["stage"] = mode == GestureMode::classifier ? "classifier" : "contrastive";
  result.json["mode"] = mode == GestureMode::classifier ? "classifier" : "similarity";
  result.json["checkpoint"] = model.load(mode);
  if (shuffle_frames) result.json["shuffled"] = true;
  return result;
}

std::vector<std::int32_t> recognise_gestures(Context& ctx, GestureModel& model, const GestureData& data) {
  std::vector<std::int64_t> clips;
  for (std::int64_t i = 0; i < data.frames().clips(); ++i) clips.push_back(i);
  const auto scores = scores_of(ctx, model.config(), data, clips, model.classes().size(), false,
                                [&](const ClipViews& views, const auto& readable) {
                                  return model.scores(model.mode({}), views, readable);
                                });
  std::vector<std::int32_t> gestures = best_classes(scores, model.classes().size());
  for (std::int64_t clip : clips) {
    if (!data.readable(clip)) gestures[static_cast<std::size_t>(clip)] = -1;
  }
  return gestures;
}

Evaluation evaluate_emotions(Context& ctx, const RunDirectory& run, GestureModel& model,
                             const GestureData& data, const std::filesystem::path& emotions,
                             const std::string& split_name, const std::filesystem::path& truth,
                             WhichCheckpoint which) {
  const std::string split = standard_split(split_name);
  const std::vector<std::string> names = read_names(run.file("emotions.json"));
  const GestureTokens tokens = gesture_tokens(run, model.classes());
  EmotionTransformer transformer(
      emotion_config(run.config(), tokens.kinds, static_cast<std::int64_t>(names.size())));
  const CheckpointData trained = finished_stage(run, "emotion", which);
  load_tensors(named_tensors(transformer), trained.model, run.path().string() + ": emotion");
  transformer.move_to(ctx);
  auto samples =
      emotion_samples(read_emotions(emotions), names, data.manifest(), recognise_gestures(ctx, model, data),
                      tokens, run.config().integer("emotion.max_length"));
  std::erase_if(samples, [&](const EmotionSample& sample) { return sample.split != split; });
  note_unread(samples, emotions);
  if (samples.empty()) {
    throw Error(ExitCode::data, "{}: no video is in the split '{}'", emotions.string(), split);
  }
  const std::vector<std::int32_t> targets = emotions_of(samples);
  Evaluation result;
  const std::vector<float> scores =
      emotion_scores(ctx, transformer, samples, static_cast<std::int64_t>(names.size()));
  result.figures = classify(scores, targets, names);
  result.predictions = predictions_text({{"video"}, names}, scores, result.figures, targets,
                                        [&](std::size_t i) { return std::vector{samples[i].video}; });
  result.json = to_json(result.figures);
  result.json["stage"] = "emotion";
  result.json["mode"] = "emotion";
  result.json["split"] = split;
  result.json["manifest"] = data.manifest().path.string();
  result.json["checkpoint"] = checkpoint_json(trained, which);
  if (!truth.empty()) result.json["optimum"] = optimum_of(truth, split);
  return result;
}

}  // namespace mg
