// mgconvert: weight files of others, seen, compared, and turned into mg's and back.
#include <CLI/CLI.hpp>

#include "tools/convert/commands/commands.h"
#include "train/commands/run_app.h"

namespace {

constexpr const char* kFooter =
    "Files are known by their content: safetensors, PyTorch's zip (.pth, .pt, .bin; read as data, nothing "
    "in\n"
    "it is executed), the index of a sharded model, or the folder that holds one of these.\n"
    "Exit codes: 0 ok, 1 run-time failure, 2 usage, 3 configuration, 5 weight file, 6 out of memory\n"
    "Example:    mgconvert inspect r2plus1d_18.pth\n"
    "            mgconvert COMMAND --help      # each command shows examples";

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
  return mg::run_app(app, argc, argv, [&action] { return action(); });
}
