// A checkpoint is a folder: model.safetensors (parameters and buffers), training.safetensors (optimizer state
// and counters), state.json (scalars), and manifest.json (schema version, XXH3-128 of each file), written
// last. It is written aside, synced and renamed, so a folder under its final name is complete. It holds no
// time and no path: equal states are equal files.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/module.h"
#include "engine/safetensors.h"

namespace mg {

class AdamW;

struct CheckpointData {
  TensorMap model;
  TensorMap training;
  nlohmann::json state = nlohmann::json::object();
};

// Writes the folder, replacing one of the same name. Throws Error(ExitCode::failure) with the system's
// reason; what was there before is then intact.
void save_checkpoint(const std::filesystem::path& folder, const CheckpointData& data);

// Checks every hash, then reads. Throws Error(ExitCode::checkpoint) that names the file at fault.
CheckpointData load_checkpoint(const std::filesystem::path& folder);

// The XXH3-128 of a checkpoint's model.safetensors, as its manifest has it.
std::string model_hash(const std::filesystem::path& folder);

// Called with one line for each checkpoint that is passed over, and why.
using CheckpointReport = std::function<void(const std::string&)>;

// The newest complete checkpoint among the folders named step_N (largest N) below folder, read and verified;
// damaged ones are reported and skipped. Empty when there is none.
struct FoundCheckpoint {
  std::filesystem::path folder;
  CheckpointData data;
};
std::optional<FoundCheckpoint> latest_checkpoint(const std::filesystem::path& folder,
                                                 const CheckpointReport& report);

// Removes all but the newest keep of the folders named step_N below folder, and what interrupted saves left
// there (names that end in .tmp). Folders of other names stay.
void prune_checkpoints(const std::filesystem::path& folder, int keep);

// A tensor that lives elsewhere, under the name that files store it by.
using NamedTensor = NamedBuffer;

// A module's parameters and buffers under prefix ("" or "image_encoder."); an optimizer's state under its
// parameters' names.
std::vector<NamedTensor> named_tensors(Module& module, const std::string& prefix = "");
std::vector<NamedTensor> named_tensors(AdamW& optimizer);

// As a map to store. The storage is shared with tensors of the host, so write it before they change.
TensorMap to_tensor_map(const std::vector<NamedTensor>& tensors);

struct LoadOptions {
  bool allow_missing = false;   // targets without a stored tensor keep their values
  bool allow_extra = false;     // stored tensors without a target are ignored
  bool allow_unusable = false;  // NaN, infinity and variances below zero are copied like other numbers
};
// Copies stored tensors into targets by name. Missing, extra and mis-shaped names make one
// Error(ExitCode::checkpoint) that lists them (the first 20) with the nearest names, and so do numbers that
// no model works with (engine/not_finite.h); source says where they come from. Nothing is copied then.
void load_tensors(const std::vector<NamedTensor>& targets, const TensorMap& stored, const std::string& source,
                  const LoadOptions& options = {});

}  // namespace mg
