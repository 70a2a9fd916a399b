// mgtrain synth
#include "data/synth/synth.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "kernels/stream.h"
#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/progress.h"

namespace mg {

void add_synth_command(CLI::App& app, Action& action) {
  struct SynthCommand {
    SynthOptions synth;
    std::optional<int> threads;
  };
  CLI::App* command = app.add_subcommand("synth", "Make a synthetic data set: videos, gestures, emotions");
  auto options = std::make_shared<SynthCommand>();
  command->add_option("--out", options->synth.out, "folder for the data set")->required();
  command->add_option("--clips", options->synth.clips, "gestures in all")
      ->check(CLI::Range(60, 1000000))
      ->capture_default_str();
  command->add_option("--seed", options->synth.seed, "another seed, other actors and gestures")
      ->capture_default_str();
  add_threads_option(*command, options->threads);
  command->footer(
      "Writes videos/*.mp4, manifest.csv, emotions.csv and truth.json (the best accuracy that any reader of "
      "the\n"
      "gestures can reach). The same options give the same files.\n"
      "Example: mgtrain synth --out data/synth --clips 600 --seed 1");
  command->callback([options, &action] {
    action = [options] {
      SynthOptions synth = options->synth;
      synth.threads = CpuStream(options->threads.value_or(0)).threads();
      synth.progress = progress_callback("rendering", "videos");
      const SynthResult result = make_synthetic_data(synth);
      std::printf("%s: %lld gestures in %lld videos%s\n", synth.out.c_str(),
                  static_cast<long long>(result.clips), static_cast<long long>(result.videos),
                  result.made ? "" : " (there already)");
    };
  });
}

}  // namespace mg
