#include "train/predictions.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/csv.h"

namespace mg {

std::vector<double> softmax(std::span<const float> scores) {
  const double top = *std::max_element(scores.begin(), scores.end());
  std::vector<double> p(scores.size());
  std::transform(scores.begin(), scores.end(), p.begin(), [&](float s) { return std::exp(s - top); });
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

PredictionTable::PredictionTable(std::vector<std::string> sample_columns, std::vector<std::string> classes)
    : sample_columns_(std::move(sample_columns)), classes_(std::move(classes)) {}

std::string PredictionTable::header() const {
  std::vector<std::string> fields = sample_columns_;
  fields.insert(fields.end(), {"label", "prediction"});
  for (const std::string& name : classes_) fields.push_back("score:" + name);
  return csv_line(fields);
}

std::string PredictionTable::line(const std::vector<std::string>& sample, const std::string& label,
                                  std::optional<std::size_t> predicted, std::span<const float> scores) const {
  std::vector<std::string> fields = sample;
  fields.push_back(label);
  fields.push_back(predicted ? classes_.at(*predicted) : "");
  if (predicted) {
    for (double p : softmax(scores)) fields.push_back(fmt::format("{}", p));
  } else {
    fields.insert(fields.end(), classes_.size(), "");
  }
  return csv_line(fields);
}

OutputFile::OutputFile(const std::filesystem::path& path, const std::string& suffix) {
  if (path.empty()) return;
  if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path)) {
    throw Error(ExitCode::usage, "{}: expected a file to write, this is {}", path.string(),
                std::filesystem::is_directory(path) ? "a folder" : "no regular file");
  }
  writer_.emplace(path.string() + suffix);
}

void OutputFile::write(const std::string& text) {
  if (writer_) writer_->write(text);
}

void OutputFile::commit() {
  if (writer_) writer_->commit();
}

}  // namespace mg
