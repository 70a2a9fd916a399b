// mgtrain: from videos to trained gesture and emotion models, and to what they predict.
#include <CLI/CLI.hpp>

#include "train/commands/commands.h"
#include "train/commands/run_app.h"

namespace {

constexpr const char* kFooter =
    "An order of work, on synthetic videos or, without the first line, on your own:\n"
    "  mgtrain synth   --out data/synth\n"
    "  mgtrain train   --run runs/first --manifest data/synth/manifest.csv\n"
    "  mgtrain eval    --run runs/first --manifest data/synth/manifest.csv\n"
    "  mgtrain predict --run runs/first clip.mp4\n"
    "  mgtrain report  --run runs/first           # report.html, to look at\n"
    " \n"
    "Example: mgtrain demo             # all of it at once, in minutes\n"
    "         mgtrain COMMAND --help   # each command explains its options\n"
    " \n"
    "Exit codes: 0 done, 1 failed while running, 2 wrong command line, 3 wrong\n"
    "configuration, 4 wrong data, 5 wrong checkpoint, 6 out of memory, 130 and 143\n"
    "stopped by SIGINT or SIGTERM (saved: go on with --resume).";

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
  return mg::run_app(app, argc, argv, work, mg::trainer_names(),
                     ": try a smaller batch (--set contrastive.batch=N)");
}
