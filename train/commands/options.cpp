#include "train/commands/options.h"
#include "train/commands/wrong_usage.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "train/encoder_weights.h"

namespace mg {

void add_threads_option(CLI::App& command, std::optional<int>& threads) {
  command.add_option("--threads", threads, "compute threads (default: every core; changes no result)")
      ->check(CLI::Range(1, 1024));
}

void add_machine_options(CLI::App& command, MachineOptions& machine) {
  add_threads_option(command, machine.threads);
  command
      .add_option(
          "--device", machine.device,
          "what computes: a GPU (cuda), the processor (cpu), or a GPU where there is one (auto, the default)")
      ->check(one_of({"auto", "cpu", "cuda"}));
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
  add_machine_options(command, machine);
}

void ConfigOptions::add_weights_to(CLI::App& command) {
  command.add_option("--video-weights", video_weights,
                     "start the video encoder from these: a folder of `mgconvert import --as r2plus1d`, or a "
                     "run; their architecture and preprocessing go on top of the preset");
  command.add_option("--text-weights", text_weights,
                     "the same for the text encoder: a folder of `mgconvert import --as distilbert` or "
                     "`bert`, or a run");
}

namespace {

// decides: what the weights decide goes into config. A run that goes on knows it already; they were moved.
void take_weights(Config& config, const std::string& folder, EncoderKind kind, bool decides) {
  if (folder.empty()) return;
  const EncoderWeights weights(std::filesystem::absolute(folder).lexically_normal(), kind);
  if (decides) weights.decide(config);
  config.set((kind == EncoderKind::video ? "video.weights=" : "text.weights=") + weights.path().string());
  if (kind == EncoderKind::text) config.set("text.vocabulary=" + weights.vocabulary().string());
}

}  // namespace

Config ConfigOptions::make(const Config* base) const {
  Config config = base != nullptr && !preset_given ? *base : Config::from_preset(preset);
  const bool decides = base == nullptr || preset_given;
  take_weights(config, video_weights, EncoderKind::video, decides);
  take_weights(config, text_weights, EncoderKind::text, decides);
  if (!file.empty()) config.load_file(file);
  for (const std::string& assignment : assignments) config.set(assignment);
  if (machine.threads) config.set("threads=" + std::to_string(*machine.threads));
  if (machine.device) config.set("device=" + *machine.device);
  return config;
}

void add_checkpoint_option(CLI::App& command, WhichCheckpoint& which) {
  command
      .add_option_function<std::string>(
          "--checkpoint",
          [&which](const std::string& name) {
            which = name == "best" ? WhichCheckpoint::best : WhichCheckpoint::last;
          },
          "the last checkpoint of the stage that is used, or the best on the val split; the stages before it "
          "are the last, on which it was trained")
      ->check(one_of({"last", "best"}))
      ->default_str("last");
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
      .add_option_function<std::string>(
          "--on-bad",
          [&options](const std::string& name) {
            options.on_bad = name == "skip" ? OnBad::skip : OnBad::stop;
          },
          "a clip that cannot be decoded: stop, or skip it and name it")
      ->check(one_of({"stop", "skip"}))
      ->default_str("stop");
}

}  // namespace mg
