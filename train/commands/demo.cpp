// mgtrain demo
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "data/synth/motion.h"
#include "data/synth/synth.h"
#include "kernels/stream.h"
#include "train/clip_gallery.h"
#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/evaluation.h"
#include "train/machine.h"
#include "train/progress.h"
#include "train/report/report.h"
#include "train/training.h"

namespace mg {

namespace {

struct DemoCommand {
  std::filesystem::path out = "runs/demo";
  std::int64_t clips = 960;
  ConfigOptions config;

  void run() const {
    const Config c = config.make();
    const SynthResult data = make_data(c);
    TrainOptions train;
    train.data.manifest = data.manifest;
    train.emotions = data.emotions;
    train.run = out / "run";
    train.resume = true;
    train.origin = "preset " + config.preset;
    write_clip_gallery(out / "gestures.html", read_manifest(data.manifest), synth::kFps);
    std::printf("the clips, to watch in a browser: %s\n", (out / "gestures.html").c_str());
    std::printf("the report, from the first epoch on: %s\n", (train.run / "report.html").c_str());
    std::fflush(stdout);
    train_run(train, c);
    const RunDirectory directory(train.run);
    evaluate(directory, train, data);
    std::printf("report: %s\n", write_report(directory.path()).c_str());
  }

 private:
  SynthResult make_data(const Config& c) const {
    return make_synthetic_data({.out = out / "data",
                                .clips = clips,
                                .seed = static_cast<std::uint64_t>(c.integer("seed")),
                                .threads = CpuStream(c.small("threads")).threads(),
                                .progress = progress_callback("rendering", "videos")});
  }

  void evaluate(const RunDirectory& run, const TrainOptions& train, const SynthResult& synth) const {
    Context ctx = make_context(run.config(), {}, /*say=*/false);  // training said it
    GestureModel model(run, ctx);
    const GestureData data(train.data, run.config());
    const Evaluation similarity = evaluate_gestures(ctx, model, data, "test", GestureMode::similarity, false);
    const Evaluation classifier = evaluate_gestures(ctx, model, data, "test", GestureMode::classifier, false);
    const Evaluation shuffled = evaluate_gestures(ctx, model, data, "test", GestureMode::classifier, true);
    const Evaluation emotion = evaluate_emotions(ctx, run, model, data, train.emotions, "test", synth.truth);
    for (const Evaluation& result : {similarity, classifier, shuffled, emotion}) {
      save_evaluation(run.results(), result);
    }
    const auto row = [](const char* name, const Classification& c, const std::string& note) {
      std::printf("  %-38s %5lld  %6.1f %%  %6.1f %%  %s\n", name, static_cast<long long>(c.n), c.top1,
                  c.constant_top1, note.c_str());
    };
    std::printf("%-40s %5s  %8s  %8s\n", "test split, actors never seen before", "n", "top-1", "constant");
    row("gesture by similarity to its text", similarity.figures,
        fmt::format("top-5 {:.1f} %", similarity.figures.top5));
    row("gesture by classifier", classifier.figures, fmt::format("top-5 {:.1f} %", classifier.figures.top5));
    row("  the same with its frames shuffled", shuffled.figures, "");
    row("emotion from recognised gestures", emotion.figures,
        fmt::format("best possible: {:.1f} % of these videos, {:.1f} % expected",
                    emotion.json["optimum"]["split"].get<double>(),
                    emotion.json["optimum"]["expected"].get<double>()));
  }
};

}  // namespace

void add_demo_command(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("demo", "The whole system on synthetic videos: data, three stages, report");
  auto options = std::make_shared<DemoCommand>();
  options->config.preset = "demo";
  command->add_option("--out", options->out, "folder for data, run and report")->capture_default_str();
  command->add_option("--clips", options->clips, "gestures in the data set")
      ->check(CLI::Range(60, 100000))
      ->capture_default_str();
  options->config.add_to(*command);
  command->footer(
      "A second call finds everything done; an interrupted one goes on where it stopped.\n"
      "Example: mgtrain demo --out runs/demo");
  command->callback([options, &action] { action = [options] { options->run(); }; });
}

}  // namespace mg
