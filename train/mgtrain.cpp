// mgtrain: from videos to trained gesture and emotion models, and to what they predict.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <new>

#include "engine/error.h"
#include "train/commands/commands.h"

namespace {

constexpr const char* kFooter =
    "Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 configuration, 4 data, 5 checkpoint, 6 out of memory,\n"
    "            130 / 143 stopped by SIGINT / SIGTERM (the checkpoint is saved: continue with --resume)\n"
    "Example:    mgtrain demo                  # everything, on synthetic videos, in minutes\n"
    "            mgtrain COMMAND --help        # each command shows an example";

int report_error(const std::string& text, mg::ExitCode code) {
  std::fprintf(stderr, "mgtrain: %s\n", text.c_str());
  return static_cast<int>(code);
}

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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(mg::ExitCode::usage);
  }
  try {
    action();
    return 0;
  } catch (const mg::Error& e) {
    return report_error(e.what(), e.code());
  } catch (const std::bad_alloc&) {
    return report_error("out of memory: try a smaller batch (--set contrastive.batch=N)",
                        mg::ExitCode::out_of_memory);
  } catch (const std::exception& e) {
    return report_error(e.what(), mg::ExitCode::failure);
  }
}
