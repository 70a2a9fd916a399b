// mgconvert: weight files of others, seen, compared, and turned into mg's and back.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>
#include <new>

#include "engine/error.h"
#include "tools/convert/commands/commands.h"
#include "tools/convert/printable.h"

namespace {

constexpr const char* kFooter =
    "Files are known by their content: safetensors, PyTorch's zip (.pth, .pt, .bin; read as data, nothing "
    "in\n"
    "it is executed), the index of a sharded model, or the folder that holds one of these.\n"
    "Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 configuration, 5 weight file, 6 out of memory\n"
    "Example:    mgconvert inspect r2plus1d_18.pth\n"
    "            mgconvert COMMAND --help      # each command shows examples";

int report_error(const std::string& text, mg::ExitCode code) {
  // Messages name keys and entries of files that anyone may have made.
  std::fprintf(stderr, "mgconvert: %s\n", mg::printable(text, "\n").c_str());
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"mgconvert reads, compares and converts weight files.", "mgconvert"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "mgconvert " MG_VERSION);
  app.footer(kFooter);
  mg::ConvertAction action;
  mg::add_import_command(app, action);
  mg::add_export_command(app, action);
  mg::add_verify_command(app, action);
  mg::add_inspect_command(app, action);
  mg::add_diff_command(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(mg::ExitCode::usage);
  }
  try {
    return static_cast<int>(action());
  } catch (const mg::Error& e) {
    return report_error(e.what(), e.code());
  } catch (const std::bad_alloc&) {
    return report_error("out of memory", mg::ExitCode::out_of_memory);
  } catch (const std::exception& e) {
    return report_error(e.what(), mg::ExitCode::failure);
  }
}
