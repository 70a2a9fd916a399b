// mgconvert inspect
#include <CLI/CLI.hpp>

#include "tools/convert/commands/commands.h"

namespace mg {

void add_inspect_command(CLI::App& app, ConvertAction& action) {
  CLI::App* command = app.add_subcommand("inspect", "");
  command->callback([&action] { action = [] { return ExitCode::ok; }; });
}

}  // namespace mg
