#include "train/commands/run_app.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "train/commands/help_format.h"
#include "train/commands/wrong_usage.h"
#include "train/printable.h"

namespace mg {

int run_app(CLI::App& app, int argc, char** argv, const std::function<ExitCode()>& action,
            const ForeignNames& foreign, const std::string& memory_hint) {
  const auto report = [&](const std::string& text, ExitCode code) {
    // Messages name keys and entries of files that anyone may have made.
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), printable(text, "\n").c_str());
    return static_cast<int>(code);
  };
  use_help_format(app);
  std::signal(SIGXFSZ, SIG_IGN);  // a file above the limit on sizes is an error of its write
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    const WrongUsage wrong = explain_usage(app, {argv + 1, argv + argc}, e, foreign);
    return report(wrong.message + "\n" + wrong.hint, ExitCode::usage);
  }
  try {
    return static_cast<int>(action());
  } catch (const Error& e) {
    return report(e.what(), e.code());
  } catch (const std::bad_alloc&) {
    return report("out of memory" + memory_hint, ExitCode::out_of_memory);
  } catch (const std::exception& e) {
    return report(e.what(), ExitCode::failure);
  }
}

}  // namespace mg
