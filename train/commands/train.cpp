// mgtrain train
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/commands/wrong_usage.h"
#include "train/training.h"

namespace mg {

namespace {

struct TrainCommand {
  TrainOptions train;
  ConfigOptions config;
  std::filesystem::path from;
  WhichCheckpoint which = WhichCheckpoint::last;

  void run() const {
    std::unique_ptr<RunDirectory> before;
    if (train.resume && std::filesystem::exists(train.run / "config.toml")) {
      before = std::make_unique<RunDirectory>(train.run);
    }
    const std::unique_ptr<EarlierRun> earlier = earlier_run(from, which, before.get());
    const Config* base = before ? &before->config() : earlier ? &earlier->config() : nullptr;
    Config all = config.make(base);
    if (before) {
      all.take(before->config(), {"from"});
    } else if (earlier) {
      earlier->check_fits(all);
      all.set("from=" + earlier->identity());
    }
    TrainOptions options = train;
    options.origin = before    ? "as the run was begun"
                     : earlier ? "the configuration of --from " + from.string()
                               : "preset " + config.preset;
    if (!config.file.empty()) options.origin += ", --config " + config.file;
    for (const std::string& assignment : config.assignments) options.origin += ", " + assignment;
    train_run(options, all, earlier.get());
    std::printf("%s", next_steps(options).c_str());
  }
};

}  // namespace

void add_train_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("train", "Train the stages on a manifest's train split");
  auto options = std::make_shared<TrainCommand>();
  add_data_options(*command, options->train.data);
  command->add_option("--run", options->train.run, "folder for the run")->required();
  command->add_option(
      "--from", options->from,
      "start from the weights of this finished run: its configuration is the base in the preset's "
      "place, its vocabulary stays; the schedule and the optimizer start anew");
  add_checkpoint_option(*command, options->which);
  command->get_option("--checkpoint")
      ->needs("--from")
      ->description("with --from: its last checkpoints, or the best on its val split");
  command->add_option("--emotion", options->train.emotions,
                      "CSV with video,emotion,subject,split: trains stage 3");
  command->add_option("--stage", options->train.stage, "which stage to train; all: all that the inputs allow")
      ->check(one_of({"contrastive", "classifier", "emotion", "all"}))
      ->capture_default_str();
  command->add_flag("--resume", options->train.resume,
                    "continue the run, bit for bit, from its last checkpoint");
  options->config.add_to(*command);
  options->config.add_weights_to(*command);
  command->footer(
      "The run's folder gets checkpoints, metrics.jsonl, results/*.json. A second stage is added with "
      "--resume.\n"
      "`mgtrain info` tells of every key. Of those the paper leaves open: prompt.tokens=pooled makes "
      "attention a\n"
      "linear map (its softmax sees one key), =batch makes a result depend on its batch mates, and\n"
      "prompt.condition=own leaks the answer in training.\n"
      "Weights of others come in by mgconvert, which see.\n"
      "Example: mgtrain train --preset mini --manifest data/manifest.csv --emotion data/emotions.csv --run "
      "runs/first\n"
      "         mgtrain train --preset mini --text-weights weights/minilm --manifest data/manifest.csv --run "
      "runs/minilm\n"
      "         mgtrain train --from runs/first --set contrastive.epochs=80 --manifest data/manifest.csv "
      "--run "
      "runs/longer\n"
      "         mgtrain train --resume --manifest data/manifest.csv --run runs/first");
  command->callback([options, &action] { action = [options] { options->run(); }; });
}

}  // namespace mg
