// mgtrain info
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "kernels/stream.h"
#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/machine.h"
#include "train/run_directory.h"
#include "train/settings.h"

namespace mg {

namespace {

struct InfoCommand {
  ConfigOptions config;
  std::filesystem::path run;

  void print() const {
    std::unique_ptr<RunDirectory> directory;
    if (!run.empty()) directory = std::make_unique<RunDirectory>(run);
    const Config c = config.make(directory ? &directory->config() : nullptr);
    print_machine(c);
    print_model(c);
    std::printf("\npresets\n");
    for (const Preset& p : presets()) std::printf("  %-10s %s\n", p.name.c_str(), p.doc.c_str());
    std::printf("\nkeys of %s\n", directory ? run.c_str() : ("the preset " + c.text("preset")).c_str());
    for (const ConfigKey& key : config_keys()) {
      std::string range;
      if (!key.choices.empty()) range = fmt::format(" [{}]", fmt::join(key.choices, ", "));
      std::printf("  %-28s %-12s %s%s (source: %s)\n", key.key.c_str(), c.printed(key.key).c_str(),
                  key.doc.c_str(), range.c_str(), c.source(key.key).c_str());
    }
  }

 private:
  static void print_machine(const Config& c) {
    std::vector<std::string> isas;
    for (Isa isa : supported_isas()) isas.emplace_back(to_string(isa));
    const Context ctx = make_context(c, {}, /*say=*/false);
    std::printf("mgtrain %s\ndevice: %s, %s\nthe processor's instruction sets: %s\n", MG_VERSION,
                device_text(ctx).c_str(), c.text("precision").c_str(),
                fmt::format("{}", fmt::join(isas, ", ")).c_str());
  }

  static void print_model(const Config& c) {
    const auto vocabulary = c.integer("text.vocabulary_size");
    ContrastiveModel model(contrastive_model_config(c, vocabulary));
    const auto macs = multiply_adds(model.config().video, c.integer("video.frames"), c.integer("video.size"),
                                    c.integer("video.size"));
    std::printf(
        "video encoder %.2f M parameters, %.2f GFLOP a clip forward; text encoder %.2f M parameters (with "
        "%lld "
        "word pieces)\n",
        static_cast<double>(model.image_encoder().parameter_count()) / 1e6, 2e-9 * static_cast<double>(macs),
        static_cast<double>(model.text_encoder().parameter_count()) / 1e6,
        static_cast<long long>(vocabulary));
  }
};

}  // namespace

void add_info_command(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("info", "Show the machine, the presets, and every configuration key");
  auto options = std::make_shared<InfoCommand>();
  options->config.add_to(*command);
  command->add_option("--run", options->run, "show this run's configuration instead of a preset's");
  command->footer("Example: mgtrain info --preset paper");
  command->callback([options, &action] { action = [options] { options->print(); }; });
}

}  // namespace mg
