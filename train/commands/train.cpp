// mgtrain train
#include <CLI/CLI.hpp>
#include <memory>

#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/training.h"

namespace mg {

namespace {

struct TrainCommand {
  TrainOptions train;
  ConfigOptions config;

  void run() const {
    std::unique_ptr<RunDirectory> before;
    if (train.resume && std::filesystem::exists(train.run / "config.toml")) {
      before = std::make_unique<RunDirectory>(train.run);
    }
    train_run(train, config.make(before ? &before->config() : nullptr));
  }
};

}  // namespace

void add_train_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("train", "Train the stages on a manifest's train split");
  auto options = std::make_shared<TrainCommand>();
  add_data_options(*command, options->train.data);
  command->add_option("--run", options->train.run, "folder for the run")->required();
  command->add_option("--emotion", options->train.emotions,
                      "CSV with video,emotion,subject,split: trains stage 3");
  command->add_option("--stage", options->train.stage, "which stage to train; all: all that the inputs allow")
      ->check(CLI::IsMember({"contrastive", "classifier", "emotion", "all"}))
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
      "         mgtrain train --resume --manifest data/manifest.csv --run runs/first");
  command->callback([options, &action] { action = [options] { options->run(); }; });
}

}  // namespace mg
