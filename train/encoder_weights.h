// The weights that an encoder starts from in place of random ones: those of a folder that `mgconvert import`
// made, or of the first stage of a run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/module.h"
#include "train/config.h"

namespace mg {

enum class EncoderKind { video, text };

// The keys that say how an encoder wants its input: sizes, scales and sampling of a clip, or how texts are
// read.
const std::vector<std::string>& input_keys(EncoderKind kind);

class EncoderWeights {
 public:
  // Error(ExitCode::checkpoint): the folder is neither, an import that changed, or a run whose first stage is
  // not finished.
  EncoderWeights(std::filesystem::path folder, EncoderKind kind);

  const std::filesystem::path& path() const { return folder_; }
  // Sets what the weights decide: the encoder's architecture and its input.
  void decide(Config& config) const;
  std::filesystem::path vocabulary() const { return folder_ / "vocab.txt"; }
  // What tells these weights from others: {"kind", "files": {name: hash}, ...}.
  const nlohmann::json& certificate() const { return certificate_; }
  // Error(ExitCode::checkpoint) for weights of another kind of encoder, and one that lists what does not fit.
  void load_into(Module& encoder) const;

 private:
  std::filesystem::path folder_;
  EncoderKind kind_;
  bool is_run_;
  nlohmann::json certificate_;
};

}  // namespace mg
