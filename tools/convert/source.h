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
  bool has_tokenizer_settings = false;       // tokenizer is what a file says, not the default
  std::optional<std::int64_t> max_length;    // in tokens, of sentence_bert_config.json
  std::optional<TextPooling> pooling;        // of 1_Pooling/config.json, which sentence encoders have
  std::vector<std::string> notes;            // what was not found, or not used
  std::vector<std::filesystem::path> files;  // all that was read
};

// Reads a weight file or the folder of one. described: with what lies beside the weights, as Hugging Face and
// sentence-transformers lay it out: config.json, tokenizer.json, tokenizer_config.json, vocab.txt,
// modules.json, sentence_bert_config.json and the pooling's config.json. What these ask for and mg does not
// do, and where two of them contradict each other, is an Error(ExitCode::checkpoint) that names the file and
// the setting.
Source read_source(const std::filesystem::path& path, bool described = true);

}  // namespace mg
