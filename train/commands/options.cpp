#include "train/commands/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace mg {

void add_threads_option(CLI::App& command, std::optional<int>& threads) {
  command.add_option("--threads", threads, "compute threads (default: every core; changes no result)")
      ->check(CLI::Range(1, 1024));
}

void ConfigOptions::add_to(CLI::App& command) {
  std::vector<std::string> names;
  for (const Preset& p : presets()) names.push_back(p.name);
  command.add_option("--preset", preset, fmt::format("{} (see `mgtrain info`)", fmt::join(names, ", ")))
      ->capture_default_str()
      ->each([this](const std::string&) { preset_given = true; });
  command.add_option("--config", file, "a TOML file of keys, on top of the preset");
  command.add_option("--set", assignments, "section.name=value, on top of both; may be repeated")
      ->allow_extra_args(false);
  add_threads_option(command, threads);
}

Config ConfigOptions::make(const Config* base) const {
  Config config = base != nullptr && !preset_given ? *base : Config::from_preset(preset);
  if (!file.empty()) config.load_file(file);
  for (const std::string& assignment : assignments) config.set(assignment);
  if (threads) config.set("threads=" + std::to_string(*threads));
  return config;
}

void add_data_options(CLI::App& command, DataOptions& options) {
  command
      .add_option(
          "--manifest", options.manifest,
          "CSV with clip,label and optionally start_frame,end_frame or start,end, caption, subject, split, "
          "video")
      ->required();
  command.add_option("--cache", options.cache, "frame cache (default: beside the manifest, named after it)");
  command
      .add_option("--on-bad", options.on_bad, "a clip that cannot be decoded: stop, or skip it and name it")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, OnBad>{{"stop", OnBad::stop}, {"skip", OnBad::skip}})
              .description("{stop,skip}"))
      ->default_str("stop");
}

}  // namespace mg
