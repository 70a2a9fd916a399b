#include "train/training.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <set>

#include "engine/file.h"
#include "train/data_summary.h"
#include "train/encoder_weights.h"
#include "train/evaluation.h"
#include "train/kept_list.h"
#include "train/machine.h"
#include "train/memory_plan.h"
#include "train/printable.h"
#include "train/report/report.h"
#include "train/settings.h"
#include "train/stages/classifier_stage.h"
#include "train/stages/contrastive_stage.h"
#include "train/stages/emotion_stage.h"
#include "train/text_templates.h"

namespace mg {

namespace {

// The classes of the train split, which those of val must be among: its figures choose the best checkpoint.
// Other splits may have more, for eval --labels.
std::vector<GestureClass> trained_classes(const GestureData& data, const std::vector<Clip>& train) {
  if (train.empty()) {
    throw Error(ExitCode::data, "{}: no clip is in the split 'train'", data.manifest().path.string());
  }
  std::vector<GestureClass> classes = gesture_classes(train);
  if (classes.size() < 2) {
    throw Error(ExitCode::data, "{}: the split 'train' has one label only, '{}': expected two at least",
                data.manifest().path.string(), classes.front().label);
  }
  require_known_labels(data.manifest(), clips_of_split(data.manifest(), "val"), classes,
                       "the split 'train' has",
                       ": every label of the split 'val' must be trained, those of other splits need not");
  return classes;
}

// A key that says where the weights are that an encoder starts from, and its option.
struct WeightsKey {
  EncoderKind encoder;
  const char *place, *certificate, *option;
};
constexpr WeightsKey kVideoWeights{EncoderKind::video, "video.weights", "video_weights.json",
                                   "--video-weights"},
    kTextWeights{EncoderKind::text, "text.weights", "text_weights.json", "--text-weights"};

class Training {
 public:
  // A device that is missing shows before hours of decoding, and the run's folder is made last: wrong data
  // leaves none behind.
  Training(const TrainOptions& options, const Config& config, const EarlierRun* earlier)
      : options_(options),
        config_(config),
        ctx_(make_context(config)),
        data_(options.data, config),
        train_(data_.readable_of_split("train")),
        classes_(trained_classes(data_, train_clips())),
        run_(options.run, config, options.resume) {
    run_.record_environment(ctx_.on_device() ? device_text(ctx_) : "cpu");
    if (earlier != nullptr && !std::filesystem::exists(run_.file("from")))
      earlier->copy_to(run_.file("from"));
    if (!config.text("from").empty()) start_ = std::make_unique<StartingPoint>(run_);
    write_problems(run_.file("problems.json"), data_.frames().bad_clips());
    write_whole_file(run_.file("data.json"),
                     data_counts(data_.manifest(), data_.frames().bad_clips()).dump(2) + "\n");
    keep_list(run_.file("clips.csv"), clip_list(data_));
    run_.keep("classes.json", classes_text(classes_));
    run_.keep("vocab.txt", vocabulary_text());
    for (const WeightsKey& key : {kVideoWeights, kTextWeights}) {
      const std::filesystem::path folder = config.text(key.place);
      if (folder.empty() || !std::filesystem::exists(folder)) continue;
      run_.keep_weights(key.certificate, EncoderWeights(folder, key.encoder));
    }
  }

  // For people, before the first step.
  std::string summary(const std::vector<std::string>& stages) const {
    std::string names, weights;
    for (const std::string& stage : stages) {
      const std::int64_t epochs = config_.integer(stage + ".epochs");
      names += fmt::format("{}{}: {} {}, batch {}", names.empty() ? "" : "\n          ", stage, epochs,
                           epochs == 1 ? "epoch" : "epochs", config_.integer(stage + ".batch"));
    }
    for (const WeightsKey& key : {kVideoWeights, kTextWeights}) {
      if (config_.text(key.place).empty()) continue;
      weights += fmt::format("{}{} {}", weights.empty() ? "" : ", ", key.option, config_.text(key.place));
    }
    if (start_) weights = "those of another run (--from)";
    return fmt::format("{}\n", data_summary(data_.manifest(), data_.frames().bad_clips())) +
           key_lines({{"run", run_.path().string() + (options_.resume ? " (--resume)" : "")},
                      {"start", options_.origin.empty() ? "as the run says" : options_.origin},
                      {"stages", names},
                      {"weights", weights.empty() ? "random" : weights},
                      {"device", device_text(ctx_)}}) +
           "\n";
  }

  bool has_val() const { return !clips_of_split(data_.manifest(), "val").empty(); }

  void contrastive() {
    if (is_done("contrastive", has_val())) return;
    const WordPiece tokenizer = WordPiece::load(run_.file("vocab.txt"), wordpiece_options(config_));
    ContrastiveModel model(contrastive_model_config(config_, static_cast<std::int64_t>(tokenizer.size())));
    model.initialize(ctx_.seed);
    load_start(model);
    model.move_to(ctx_);
    const TrainingSizes sizes = training_sizes(tokenizer);
    const MemoryPlan plan = check_memory(config_, ctx_, sizes);
    with_memory_advice(config_, ctx_, sizes, [&] {
      ContrastiveStage stage(ctx_, model, tokenizer, data_, classes_, config_);
      run_stage(stage, stage.options(), run_, ctx_);
    });
    std::fprintf(stderr, "memory: %s at the peak of a step, %s planned\n",
                 bytes_text(ctx_.arena.statistics().peak_in_use).c_str(), bytes_text(plan.step).c_str());
    if (has_val()) gesture_result(GestureMode::similarity);
  }

  void classifier() {
    if (is_done("classifier", has_val())) return;
    {
      GestureModel model(run_, ctx_);
      const auto classes = static_cast<std::int64_t>(classes_.size());
      Classifier classifier(classifier_config(config_, classes));
      classifier.initialize(ctx_.seed, "classifier");
      if (start_) start_->load_classifier(classifier, classes_);
      classifier.move_to(ctx_);
      ClassifierStage stage(ctx_, model.contrastive(), classifier, data_,
                            class_numbers(data_.manifest(), classes_), classes, config_);
      run_stage(stage, stage.options(), run_, ctx_);
    }
    if (has_val()) gesture_result(GestureMode::classifier);
  }

  void emotion() {
    if (is_done("emotion", false)) return;
    GestureModel model(run_, ctx_);
    const EmotionLabels labels = read_emotions(options_.emotions);
    const std::vector<std::string> names = distinct_emotions(labels);
    run_.keep("emotions.json", names_text(names));
    keep_list(run_.file("emotions.csv"), emotion_list(labels));
    const auto emotions = static_cast<std::int64_t>(names.size());
    const GestureTokens tokens = gesture_tokens(run_, classes_);
    const auto samples =
        emotion_samples(labels, names, data_.manifest(), recognise_gestures(ctx_, model, data_), tokens,
                        config_.integer("emotion.max_length"));
    note_unread(samples, options_.emotions);
    EmotionTransformer transformer(emotion_config(config_, tokens.kinds, emotions));
    transformer.initialize(ctx_.seed, "emotion");
    if (start_) start_->load_emotion(transformer, classes_, names);
    transformer.move_to(ctx_);
    EmotionStage stage(ctx_, transformer, samples, tokens.kinds, emotions, config_);
    run_stage(stage, stage.options(), run_, ctx_);
    const bool val =
        std::any_of(samples.begin(), samples.end(), [](const auto& s) { return s.split == "val"; });
    if (val) save_result(evaluate_emotions(ctx_, run_, model, data_, options_.emotions, "val", {}));
  }

 private:
  std::vector<Clip> train_clips() const {
    std::vector<Clip> clips;
    for (std::int64_t i : train_) clips.push_back(data_.manifest().clips[static_cast<std::size_t>(i)]);
    return clips;
  }

  // Captions in every template.
  TrainingSizes training_sizes(const WordPiece& tokenizer) const {
    std::set<std::string> captions;
    for (const Clip& clip : train_clips()) captions.insert(clip.caption);
    const TemplatedTexts all =
        encode_templated(tokenizer, text_templates(config_), {captions.begin(), captions.end()},
                         static_cast<std::size_t>(config_.integer("text.max_length")));
    return {static_cast<std::int64_t>(train_.size()), static_cast<std::int64_t>(tokenizer.size()),
            static_cast<std::int64_t>(captions.size()), all.tokens.length};
  }

  // What the first stage starts from in place of random weights. Encoders from elsewhere may be gone once
  // a checkpoint holds the stage's weights.
  void load_start(ContrastiveModel& model) const {
    if (start_) {
      start_->load_contrastive(model);
    } else if (!latest_checkpoint(run_.checkpoints("contrastive"), [](const std::string&) {})) {
      load_encoder(kVideoWeights, model.image_encoder());
      load_encoder(kTextWeights, model.text_encoder());
    }
    model.image_encoder().set_frozen(config_.flag("video.freeze"));
    model.text_encoder().set_frozen(config_.flag("text.freeze"));
  }

  void load_encoder(const WeightsKey& key, Module& encoder) const {
    const std::filesystem::path folder = config_.text(key.place);
    if (folder.empty()) return;
    if (!std::filesystem::exists(folder)) {
      throw Error(
          ExitCode::checkpoint,
          "{}: the run has no checkpoint yet and starts from these weights, which are not there: if they "
          "were moved, name their place by {}",
          folder.string(), key.option);
    }
    EncoderWeights(folder, key.encoder).load_into(encoder);
  }

  std::string vocabulary_text() const {
    if (start_) return start_->vocabulary();
    const std::filesystem::path file = config_.text("text.vocabulary"), own = run_.file("vocab.txt");
    if (!file.empty()) {  // the run's own copy will do where the file is gone
      const bool gone = !std::filesystem::exists(file) && std::filesystem::exists(own);
      return WordPiece::load(gone ? own : file).text();
    }
    std::vector<std::string> captions;
    for (const Clip& clip : train_clips()) captions.push_back(clip.caption);
    return WordPiece::train(captions, static_cast<std::size_t>(config_.integer("text.vocabulary_size")))
        .text();
  }

  // Trained to its end, figures and all.
  bool is_done(const std::string& stage, bool with_result) const {
    if (!is_finished(run_, stage)) return false;
    if (with_result && !std::filesystem::exists(result_file(run_, stage, "val"))) return false;
    std::fprintf(stderr, "%s: trained already\n", stage.c_str());
    return true;
  }

  void gesture_result(GestureMode mode) {
    GestureModel model(run_, ctx_);
    save_result(evaluate_gestures(ctx_, model, data_, "val", mode, false));
  }

  void save_result(const Evaluation& result) {
    save_evaluation(run_.results(), result);
    std::printf("%s", to_text(result).c_str());
    std::fflush(stdout);
  }

  const TrainOptions& options_;
  const Config& config_;
  Context ctx_;
  GestureData data_;
  std::vector<std::int64_t> train_;  // numbers of the train split's clips
  std::vector<GestureClass> classes_;
  RunDirectory run_;
  std::unique_ptr<StartingPoint> start_;  // none: the run starts from no other
};

}  // namespace

void train_run(const TrainOptions& options, const Config& config, const EarlierRun* earlier) {
  if (options.stage == "emotion" && options.emotions.empty()) {
    throw Error(ExitCode::usage, "--stage emotion needs --emotion E.csv");
  }
  const bool follows = options.stage == "classifier" || options.stage == "emotion";
  if (follows && !std::filesystem::exists(options.run / "config.toml")) {
    throw Error(ExitCode::checkpoint,
                "{}: no run to continue: --stage {} needs the contrastive stage, train it first",
                options.run.string(), options.stage);
  }
  // What is wrong shows before hours of decoding, and before a folder is made.
  RunDirectory::check(options.run, options.resume);
  input_spec(config);
  contrastive_model_config(config, 1);
  text_templates(config);
  emotion_config(config, 1, 1);
  if (!options.emotions.empty()) {
    check_emotions(read_emotions(options.emotions), read_manifest(options.data.manifest));
  }
  Training training(options, config, earlier);
  std::vector<std::string> stages{options.stage};
  if (options.stage == "all") {
    stages = {"contrastive", "classifier"};
    if (!options.emotions.empty()) stages.emplace_back("emotion");
  }
  std::printf("%s", training.summary(stages).c_str());
  std::fflush(stdout);
  for (const std::string& stage : stages) {
    if (stage == "contrastive") training.contrastive();
    if (stage == "classifier") training.classifier();
    if (stage == "emotion") training.emotion();
  }
  write_report(options.run);
}

std::string next_steps(const TrainOptions& options) {
  const RunDirectory run(options.run);
  const Manifest manifest = read_manifest(options.data.manifest);
  std::string text = fmt::format("the run is in {}; its report: {}\n", printable(options.run.string()),
                                 printable(run.file("report.html").string()));
  for (const char* stage : {"contrastive", "classifier", "emotion"}) {
    const std::filesystem::path file = result_file(run, stage, "val");
    if (!std::filesystem::exists(file)) continue;
    const auto figures = nlohmann::json::parse(read_whole_file(file, ExitCode::failure));
    text += fmt::format("  {:<12} val: top-1 {:.1f} %, by frequency alone {:.1f} %\n", stage,
                        figures.at("top1").get<double>(), figures.at("constant").at("top1").get<double>());
  }
  text += "next:\n";
  const std::string program = program_invocation_name;
  const auto add = [&](std::vector<std::string> words) {
    words.insert(words.begin(), program);
    text += "  " + shell_line(words) + "\n";
  };
  std::vector<std::string> eval{"eval", "--run", options.run.string(), "--manifest",
                                options.data.manifest.string()};
  if (!options.data.cache.empty()) eval.insert(eval.end(), {"--cache", options.data.cache.string()});
  if (options.data.on_bad == OnBad::skip) eval.insert(eval.end(), {"--on-bad", "skip"});
  const std::vector<std::int64_t> test = clips_of_split(manifest, "test");
  if (!test.empty()) {
    eval.insert(eval.end(), {"--split", "test"});
    add(eval);
    if (!options.emotions.empty() && is_finished(run, "emotion")) {
      eval.insert(eval.end(), {"--mode", "emotion", "--emotion", options.emotions.string()});
      add(eval);
    }
  }
  const auto example = static_cast<std::size_t>(test.empty() ? 0 : test.front());
  add({"predict", "--run", options.run.string(), manifest.clips[example].path.string()});
  add({"report", "--run", options.run.string()});
  return text;
}

}  // namespace mg
