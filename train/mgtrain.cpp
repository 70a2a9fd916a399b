// mgtrain: from videos to trained gesture and emotion models, and to what they predict.
#include <CLI/CLI.hpp>

#include "train/commands/commands.h"
#include "train/commands/run_app.h"

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 configuration, 4 data, 5 checkpoint, 6 out of memory,\n"
    "            130 / 143 stopped by SIGINT / SIGTERM (the checkpoint is saved: continue with --resume)\n"
    "Example:    mgtrain demo                  # everything, on synthetic videos, in minutes\n"
    "            mgtrain COMMAND --help        # each command shows an example";

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"mgtrain sees micro gestures in video and reads emotion from them.", "mgtrain"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "mgtrain " MG_VERSION);
  app.footer(kFooter);
  mg::Action action;
  mg::add_demo_command(app, action);
  mg::add_synth_command(app, action);
  mg::add_cache_command(app, action);
  mg::add_train_command(app, action);
  mg::add_eval_command(app, action);
  mg::add_predict_command(app, action);
  mg::add_report_command(app, action);
  mg::add_info_command(app, action);
  const auto work = [&action] {
    action();
    return mg::ExitCode::ok;
  };
  return mg::run_app(app, argc, argv, work, ": try a smaller batch (--set contrastive.batch=N)");
}
