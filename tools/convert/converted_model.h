// One model that comes in or goes out: the module with its weights, the configuration that it decides, and a
// probe, by which it is recognised later.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/convert/key_map.h"
#include "tools/convert/source.h"
#include "train/config.h"

namespace mg {

// What --as takes. authors: the whole contrastive model, theirs or one that a run exported.
const std::vector<std::string>& model_kinds();

struct BuildOptions {
  bool allow_partial = false;  // what the source lacks stays random, what it has too much is dropped
  bool allow_nonfinite =
      false;  // numbers that no model works with (engine/not_finite.h) are taken, and noted
  std::optional<int> heads = {};           // attention heads, where no config.json says how many
  std::vector<std::string> settings = {};  // "key=value", over what the source decides
};

// Named outputs, at most a few hundred numbers each.
using Probe = std::vector<std::pair<std::string, std::vector<float>>>;

struct ConvertedModel {
  std::string kind;
  std::unique_ptr<Module> module;
  Config config;
  std::vector<std::string> decided;     // the keys of config that the model decides; empty: all
  std::vector<std::string> vocabulary;  // of text encoders
  nlohmann::json transformers;          // of text encoders: their config.json
  KeyMap keys;
  std::vector<std::string> random;  // parameters that the source lacks
  std::vector<std::string> notes;   // what a user should know
  // The outputs for inputs that are drawn by Philox from fixed keys: the same everywhere.
  std::function<Probe(Context&)> probe;
};

// Error(ExitCode::checkpoint) that says what makes the source no model of this kind, or lists the names that
// are missing, too much or of another shape.
ConvertedModel build_model(const std::string& kind, const Source& source, const BuildOptions& options);

}  // namespace mg
