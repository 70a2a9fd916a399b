// mgconvert: weight files of others, seen, compared, and turned into mg's and back.
#include <CLI/CLI.hpp>

#include "tools/convert/commands/commands.h"
#include "train/commands/run_app.h"

namespace {

const mg::ForeignNames kForeign{
    {"output", {{"--out FOLDER"}}},
    {"output-dir", {{"--out FOLDER"}}},
    {"o", {{"--out FOLDER"}}},
    {"format", {{"--to FORMAT"}, {"--as KIND"}}},
    {"type", {{"--as KIND"}, {"--to FORMAT"}}},
    {"kind", {{"--as KIND"}, {"--to FORMAT"}}},
    {"from", {{"--as KIND"}}},
    {"model", {{"--as KIND"}, {"the file or folder itself, without an option"}}},
    {"input", {{"the file or folder itself, without an option"}}},
    {"run", {{"the run's folder itself, without an option", "export"}}},
    {"weights", {{"the file or folder itself, without an option"}}},
    {"tokenizer", {{"--vocab FILE"}}},
    {"atol", {{"--tolerance NUMBER"}}},
    {"eps", {{"--tolerance NUMBER"}}},
    {"strict", {{"without --allow-partial, which is how it is", "import"}}},
    {"no-strict", {{"--allow-partial"}}},
};

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
  return mg::run_app(
      app, argc, argv, [&action] { return action(); }, kForeign);
}
