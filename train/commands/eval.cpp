// mgtrain eval
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/commands/wrong_usage.h"
#include "train/predictions.h"
#include "train/stages/emotion_stage.h"
#include "train/zero_shot.h"

namespace mg {

namespace {

struct EvalCommand {
  DataOptions data;
  std::filesystem::path run, emotions, truth, json, csv, results;
  std::string split = "test", labels;
  std::optional<std::string> mode;
  bool shuffle_frames = false, per_class = false;
  WhichCheckpoint which = WhichCheckpoint::last;
  MachineOptions machine{.threads = 0, .device = "auto"};

  void evaluate() const {
    if (mode == "emotion" && emotions.empty())
      throw Error(ExitCode::usage, "--mode emotion needs --emotion E.csv");
    if (!labels.empty() && mode && mode != "similarity") {
      throw Error(ExitCode::usage,
                  "--labels is for --mode similarity: the other modes know the trained labels only");
    }
    // What cannot be written shows before the work.
    OutputFile json_file(json), csv_file(csv);
    if (!results.empty()) std::filesystem::create_directories(results);
    const RunDirectory directory(run);
    const Evaluation result = measure(directory);
    json_file.write(result.json.dump(2) + "\n");
    json_file.commit();
    csv_file.write(result.predictions);
    csv_file.commit();
    std::printf("%s", to_text(result, per_class).c_str());
    std::fflush(stdout);
    save(directory, result);
  }

 private:
  Evaluation measure(const RunDirectory& directory) const {
    Context ctx = make_context(directory.config(), machine);
    const bool emotion = mode == "emotion";
    GestureModel model(directory, ctx, emotion ? WhichCheckpoint::last : which);
    const GestureMode gesture_mode =
        !labels.empty() ? GestureMode::similarity : model.mode(emotion ? std::nullopt : mode);
    model.load(gesture_mode);
    if (emotion) join_with_notes(read_emotions(emotions), read_manifest(data.manifest));
    const GestureData gestures(data, directory.config());
    if (!labels.empty()) return evaluate_zero_shot(ctx, model, gestures, split, labels, shuffle_frames);
    if (emotion) return evaluate_emotions(ctx, directory, model, gestures, emotions, split, truth, which);
    return evaluate_gestures(ctx, model, gestures, split, gesture_mode, shuffle_frames);
  }

  // A run that cannot be written, another's or on a read-only disk, is no reason to lose the figures.
  void save(const RunDirectory& directory, const Evaluation& result) const {
    if (!results.empty()) return save_evaluation(results, result);
    try {
      save_evaluation(directory.results(), result);
    } catch (const Error& e) {
      std::fprintf(stderr,
                   "mgtrain: the figures above are not kept in the run (%s): --results DIR keeps them "
                   "elsewhere\n",
                   e.what());
    }
  }
};

}  // namespace

void add_eval_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("eval", "Measure a run on a split; every clip counts");
  auto options = std::make_shared<EvalCommand>();
  add_data_options(*command, options->data);
  command->add_option("--run", options->run, "the run's folder")->required();
  command->add_option("--split", options->split, "the split")->capture_default_str();
  command
      ->add_option(
          "--mode", options->mode,
          "similarity to the class texts, the classifier, or emotion (default: the classifier if trained)")
      ->check(one_of({"similarity", "classifier", "emotion"}));
  command->add_option("--labels", options->labels,
                      "zero-shot: the labels to choose from, by the similarity to their texts, in place of "
                      "the trained ones. A file with one label a line, or the word `manifest` for those "
                      "that the split has");
  command->add_option("--emotion", options->emotions, "emotion labels, for --mode emotion");
  command->add_option("--truth", options->truth,
                      "truth.json of `mgtrain synth`: shows the best possible beside");
  command->add_flag("--shuffle-frames", options->shuffle_frames, "show each clip's frames in random order");
  command->add_flag("--per-class", options->per_class, "a line for each class");
  command->add_option("--json", options->json, "write the figures to this file, too");
  command->add_option("--csv", options->csv, "write the prediction of every clip to this file, too");
  command->add_option("--results", options->results,
                      "keep figures and predictions in this folder instead of the run's results/");
  add_checkpoint_option(*command, options->which);
  add_machine_options(*command, options->machine);
  command->footer(
      "The run's results/ gets the figures as JSON and the prediction of every clip as CSV.\n"
      "JSON: n, top1, top5, mean_class, macro_f1 (percent), confusion [true][predicted], labels, constant\n"
      "(the predictor that always answers by frequency).\n"
      "CSV: clip, range, label, prediction, and a column score:LABEL for each label: probabilities that sum\n"
      "to 1. A clip that cannot be decoded has no prediction and counts as wrong.\n"
      "Example: mgtrain eval --run runs/first --manifest data/manifest.csv --split test --json test.json\n"
      "         mgtrain eval --run runs/first --manifest data/manifest.csv --csv predictions.csv\n"
      "         mgtrain eval --run runs/first --manifest data/new.csv --labels manifest      (zero-shot)\n"
      "         mgtrain eval --run /mnt/runs/first --manifest data/manifest.csv --results my_results");
  command->callback([options, &action] { action = [options] { options->evaluate(); }; });
}

}  // namespace mg
