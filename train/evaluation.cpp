#include "train/evaluation.h"

#include <algorithm>
#include <limits>

#include "engine/file.h"
#include "engine/text_file.h"
#include "train/machine.h"
#include "train/settings.h"
#include "train/stages/emotion_stage.h"

namespace mg {

namespace {

// Scores of the clips that can be read; minus infinity, which ranks last, for the others.
std::vector<float> scores_of(Context& ctx, GestureModel& model, const GestureData& data,
                             const std::vector<std::int64_t>& clips, GestureMode mode, bool shuffle_frames) {
  const Config& config = model.config();
  ClipLoader loader = make_loader(ctx, data.frames(), config);
  const ClipViews views{.loader = loader, .config = config, .shuffle_frames = shuffle_frames};
  std::vector<std::int64_t> readable;
  std::copy_if(clips.begin(), clips.end(), std::back_inserter(readable),
               [&](auto c) { return data.readable(c); });
  const std::vector<float> some = model.scores(mode, views, readable);
  const std::size_t classes = model.classes().size();
  refuse_unusable_scores(some, classes, [&](std::size_t row) {
    return data.manifest().clips[static_cast<std::size_t>(readable[row])].name;
  });
  std::vector<float> all;
  auto next = some.begin();
  for (std::int64_t clip : clips) {
    if (data.readable(clip)) {
      all.insert(all.end(), next, next + static_cast<std::ptrdiff_t>(classes));
      next += static_cast<std::ptrdiff_t>(classes);
    } else {
      all.insert(all.end(), classes, -std::numeric_limits<float>::infinity());
    }
  }
  return all;
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

}  // namespace

namespace {

bool is_of_best(const Evaluation& e) { return e.json.at("checkpoint").at("which") == "best"; }

}  // namespace

std::filesystem::path result_file(const RunDirectory& run, const std::string& stage, const std::string& split,
                                  bool shuffled, bool best) {
  return run.results() /
         fmt::format("{}-{}{}{}.json", stage, split, shuffled ? "-shuffled" : "", best ? "-best" : "");
}

void save_evaluation(const RunDirectory& run, const Evaluation& e) {
  const auto file =
      result_file(run, e.json.at("stage"), e.json.at("split"), e.json.contains("shuffled"), is_of_best(e));
  write_whole_file(file, e.json.dump(2) + "\n");
}

std::string to_text(const Evaluation& e, bool per_class) {
  return fmt::format(
      "{} on {}{}{}\n{}\n", e.json.at("stage").get<std::string>(), e.json.at("split").get<std::string>(),
      e.json.contains("shuffled") ? ", frames shuffled" : "",
      is_of_best(e) ? fmt::format(", best checkpoint (epoch {})", e.json["checkpoint"]["epoch"].dump()) : "",
      to_table(e.figures, per_class));
}

Evaluation evaluate_gestures(Context& ctx, GestureModel& model, const GestureData& data,
                             const std::string& split_name, GestureMode mode, bool shuffle_frames) {
  const std::string split = standard_split(split_name);
  const std::vector<std::int64_t> clips = require_split(data.manifest(), split);
  const std::vector<std::int32_t> labels = class_numbers(data.manifest(), model.classes());
  const std::vector<std::int32_t> targets = select(labels, clips);
  Evaluation result;
  result.figures =
      classify(scores_of(ctx, model, data, clips, mode, shuffle_frames), targets, labels_of(model.classes()));
  result.json = to_json(result.figures);
  result.json["stage"] = mode == GestureMode::classifier ? "classifier" : "contrastive";
  result.json["mode"] = mode == GestureMode::classifier ? "classifier" : "similarity";
  result.json["split"] = split;
  result.json["manifest"] = data.manifest().path.string();
  result.json["checkpoint"] = model.load(mode);
  if (shuffle_frames) result.json["shuffled"] = true;
  return result;
}

std::vector<std::int32_t> recognise_gestures(Context& ctx, GestureModel& model, const GestureData& data) {
  std::vector<std::int64_t> clips;
  for (std::int64_t i = 0; i < data.frames().clips(); ++i) clips.push_back(i);
  const auto scores = scores_of(ctx, model, data, clips, model.mode({}), false);
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
  result.figures = classify(
      emotion_scores(ctx, transformer, samples, static_cast<std::int64_t>(names.size())), targets, names);
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
