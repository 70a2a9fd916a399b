// What a model says of every sample, as a table: one line a clip (or a video, for the emotion) with its
// label, the label that the model gives it, and the probability of each label.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/manifest.h"
#include "engine/file.h"

namespace mg {

// exp(score) / sum of exp: n numbers that sum to 1.
std::vector<double> softmax(std::span<const float> scores);

// The lines of a file of predictions. Columns: what a sample is called, label, prediction, and "score:" and
// the name of each class. A sample that could not be read has neither prediction nor scores.
class PredictionTable {
 public:
  // sample_columns: {"clip", "range"} or {"video"}.
  PredictionTable(std::vector<std::string> sample_columns, std::vector<std::string> classes);
  std::string header() const;
  // predicted: the number of the class; scores: logits of the classes. Both empty: the sample was not read.
  std::string line(const std::vector<std::string>& sample, const std::string& label,
                   std::optional<std::size_t> predicted, std::span<const float> scores) const;

 private:
  std::vector<std::string> sample_columns_, classes_;
};

// A file that a user asked for: opened before long work, so that a place that cannot be written shows at
// once. A place that is there and is no regular file is an Error(ExitCode::usage).
class OutputFile {
 public:
  // An empty path: no file. suffix: of the name that commit() gives it.
  explicit OutputFile(const std::filesystem::path& path, const std::string& suffix = "");
  explicit operator bool() const { return writer_.has_value(); }
  void write(const std::string& text);
  void commit();

 private:
  std::optional<FileWriter> writer_;
};

}  // namespace mg
