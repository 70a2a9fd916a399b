// mgtrain report
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "train/commands/commands.h"
#include "train/report/report.h"
#include "train/run_directory.h"

namespace mg {

void add_report_command(CLI::App& app, Action& action) {
  struct ReportCommand {
    std::filesystem::path run, out;
  };
  CLI::App* command = app.add_subcommand("report", "Write report.html into a run's folder");
  auto options = std::make_shared<ReportCommand>();
  command->add_option("--run", options->run, "the run's folder")->required();
  command->add_option("--out", options->out, "the file to write in place of the run's report.html");
  command->footer(
      "One file, no network: curves, confusion, classes, emotion, configuration.\n"
      "Example: mgtrain report --run runs/first\n"
      "         mgtrain report --run /mnt/runs/first --out first.html      (a run that cannot be written)");
  command->callback([options, &action] {
    action = [options] {
      std::printf("%s\n", write_report(RunDirectory(options->run).path(), false, options->out).c_str());
    };
  });
}

}  // namespace mg
