// The sub-commands of mgconvert. Each add_* describes one to the parser; parsing it leaves the work to do in
// action.
#pragma once

#include <functional>

#include "engine/error.h"

namespace CLI {
class App;
}

namespace mg {

// Its result is the exit status: diff answers by it.
using ConvertAction = std::function<ExitCode()>;

void add_import_command(CLI::App& app, ConvertAction& action);
void add_export_command(CLI::App& app, ConvertAction& action);
void add_verify_command(CLI::App& app, ConvertAction& action);
void add_inspect_command(CLI::App& app, ConvertAction& action);
void add_diff_command(CLI::App& app, ConvertAction& action);

}  // namespace mg
