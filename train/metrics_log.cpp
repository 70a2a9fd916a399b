#include "train/metrics_log.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <sstream>

#include "engine/file.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// False for a line that was cut off, and for one of the stage beyond step.
bool keep(const json& line, const std::string& stage, std::int64_t step) {
  if (!line.is_object()) return false;
  return line.value("stage", "") != stage || line.value("step", std::int64_t{0}) <= step;
}

}  // namespace

MetricsLog::MetricsLog(fs::path path, std::string stage, std::int64_t step)
    : path_(std::move(path)), stage_(std::move(stage)) {
  if (fs::exists(path_)) {
    const std::string before = read_whole_file(path_, ExitCode::failure);
    std::istringstream lines(before);
    std::string kept;
    for (std::string line; std::getline(lines, line);) {
      const json parsed = json::parse(line, nullptr, false);
      if (!keep(parsed, stage_, step)) continue;
      kept += line + "\n";
      if (parsed.value("stage", "") == stage_) seconds_before_ = parsed.value("seconds", seconds_before_);
    }
    if (kept != before) write_whole_file(path_, kept);
  }
  file_ = std::fopen(path_.c_str(), "ae");
  if (file_ == nullptr) {
    throw Error(ExitCode::failure, "{}: cannot write: {}", path_.string(), std::strerror(errno));
  }
}

MetricsLog::~MetricsLog() { std::fclose(file_); }

void MetricsLog::write(nlohmann::ordered_json line) {
  line["stage"] = stage_;
  const std::chrono::duration<double> now = std::chrono::steady_clock::now() - start_;
  line["seconds"] = std::round(1000 * (seconds_before_ + now.count())) / 1000;
  const std::string text = line.dump() + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0) {
    throw Error(ExitCode::failure, "{}: cannot write: {}", path_.string(), std::strerror(errno));
  }
}

}  // namespace mg
