// mgconvert diff
#include <CLI/CLI.hpp>

#include "tools/convert/commands/commands.h"

namespace mg {

void add_diff_command(CLI::App& app, ConvertAction& action) {
  CLI::App* command = app.add_subcommand("diff", "");
  command->callback([&action] { action = [] { return ExitCode::ok; }; });
}

}  // namespace mg
