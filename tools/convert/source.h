// A model as it comes from elsewhere: its weights, and what lies beside them in a Hugging Face folder.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "models/text_encoder.h"
#include "models/wordpiece.h"
#include "tools/convert/weight_file.h"

namespace mg {

struct Source {
  std::filesystem::path path;
  WeightFile weights;
  nlohmann::json config;                     // config.json; null: none
  std::vector<std::string> vocabulary;       // of vocab.txt or tokenizer.json; empty: none
  WordPieceOptions tokenizer;                // of tokenizer.json or tokenizer_config.json
  std::optional<TextPooling> pooling;        // of 1_Pooling/config.json, which sentence encoders have
  std::vector<std::filesystem::path> files;  // all that was read
};

// Reads a file, or a folder with config.json, weights, and vocab.txt or tokenizer.json. What a tokenizer or a
// pooling does that is not done here is an Error(ExitCode::checkpoint) that names the file and the setting.
Source read_source(const std::filesystem::path& path);

}  // namespace mg
