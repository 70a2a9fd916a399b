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
  CLI::App* command = app.add_subcommand("report", "Write report.html into a run's folder");
  auto run = std::make_shared<std::filesystem::path>();
  command->add_option("--run", *run, "the run's folder")->required();
  command->footer(
      "One file, no network: curves, confusion, classes, emotion, configuration.\n"
      "Example: mgtrain report --run runs/first");
  command->callback([run, &action] {
    action = [run] { std::printf("%s\n", write_report(RunDirectory(*run).path()).c_str()); };
  });
}

}  // namespace mg
