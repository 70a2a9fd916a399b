// mgtrain eval
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "engine/file.h"
#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/commands/wrong_usage.h"
#include "train/evaluation.h"
#include "train/stages/emotion_stage.h"

namespace mg {

namespace {

struct EvalCommand {
  DataOptions data;
  std::filesystem::path run, emotions, truth, json;
  std::string split = "test";
  std::optional<std::string> mode;
  bool shuffle_frames = false, per_class = false;
  WhichCheckpoint which = WhichCheckpoint::last;
  MachineOptions machine{.threads = 0, .device = "auto"};

  void evaluate() const {
    if (mode == "emotion" && emotions.empty())
      throw Error(ExitCode::usage, "--mode emotion needs --emotion E.csv");
    const RunDirectory directory(run);
    Context ctx = make_context(directory.config(), machine);
    const bool emotion = mode == "emotion";
    GestureModel model(directory, ctx, emotion ? WhichCheckpoint::last : which);
    model.load(model.mode(emotion ? std::nullopt : mode));
    if (emotion) join_with_notes(read_emotions(emotions), read_manifest(data.manifest));
    const GestureData gestures(data, directory.config());
    const Evaluation result =
        emotion ? evaluate_emotions(ctx, directory, model, gestures, emotions, split, truth, which)
                : evaluate_gestures(ctx, model, gestures, split, model.mode(mode), shuffle_frames);
    save_evaluation(directory, result);
    if (!json.empty()) write_whole_file(json, result.json.dump(2) + "\n");
    std::printf("%s", to_text(result, per_class).c_str());
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
  command->add_option("--emotion", options->emotions, "emotion labels, for --mode emotion");
  command->add_option("--truth", options->truth,
                      "truth.json of `mgtrain synth`: shows the best possible beside");
  command->add_flag("--shuffle-frames", options->shuffle_frames, "show each clip's frames in random order");
  command->add_flag("--per-class", options->per_class, "a line for each class");
  command->add_option("--json", options->json, "write the figures to this file, too");
  add_checkpoint_option(*command, options->which);
  add_machine_options(*command, options->machine);
  command->footer(
      "JSON: n, top1, top5, mean_class, macro_f1 (percent), confusion [true][predicted], labels, constant "
      "(the\n"
      "predictor that always answers by frequency). Also kept in the run's results/.\n"
      "Example: mgtrain eval --run runs/first --manifest data/manifest.csv --split test --json test.json");
  command->callback([options, &action] { action = [options] { options->evaluate(); }; });
}

}  // namespace mg
