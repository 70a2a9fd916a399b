// metrics.jsonl: one JSON object a line, {"kind": "train" | "eval", "stage", "epoch", "step", "seconds",
// ...}. seconds: how long the stage has been trained so far, without the time between a stop and its
// continuation.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace mg {

class MetricsLog {
 public:
  // Opens path to append, after removing what stage wrote beyond step: a resumed run says it again.
  MetricsLog(std::filesystem::path path, std::string stage, std::int64_t step);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  // Adds the stage's name and the seconds. Lines reach the system at once.
  void write(nlohmann::ordered_json line);

 private:
  std::filesystem::path path_;
  std::string stage_;
  double seconds_before_ = 0;  // by the lines that are kept
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::FILE* file_ = nullptr;
};

}  // namespace mg
