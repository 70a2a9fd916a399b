// Options that several commands share.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/gesture_data.h"
#include "train/machine.h"
#include "train/stages/best_checkpoint.h"

namespace CLI {
class App;
}

namespace mg {

struct ConfigOptions {
  std::string preset = "mini";
  bool preset_given = false;
  std::string file;
  std::vector<std::string> assignments;
  MachineOptions machine;
  std::string video_weights, text_weights;  // folders of `mgconvert import`

  void add_to(CLI::App& command);
  void add_weights_to(CLI::App& command);
  // The preset, then what imported weights decide, then the file, then --set. With a base (a run's stored
  // configuration) in the preset's place unless a preset was given.
  Config make(const Config* base = nullptr) const;
};

void add_threads_option(CLI::App& command, std::optional<int>& threads);
// --threads and --device
void add_machine_options(CLI::App& command, MachineOptions& machine);

// --checkpoint last or best
void add_checkpoint_option(CLI::App& command, WhichCheckpoint& which);

// --manifest, --cache, --on-bad
void add_data_options(CLI::App& command, DataOptions& options);

}  // namespace mg
