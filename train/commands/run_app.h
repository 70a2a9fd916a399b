// What the programs' mains have in common.
#pragma once

#include <functional>
#include <string>

#include "engine/error.h"
#include "train/foreign_names.h"

namespace CLI {
class App;
}

namespace mg {

// Parses the command line, which leaves the work in action, and does it. The exit status is its result or,
// for what it throws, the error's code; the error is one message on stderr that begins with the program's
// name. A wrong command line is a message and a hint; foreign: what its users may call options by.
// memory_hint: what to try when memory runs out.
int run_app(CLI::App& app, int argc, char** argv, const std::function<ExitCode()>& action,
            const ForeignNames& foreign, const std::string& memory_hint = "");

}  // namespace mg
