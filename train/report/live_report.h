// The report of a run that is still being trained, for who watches it.
#pragma once

#include <chrono>
#include <filesystem>

namespace mg {

class LiveReport {
 public:
  explicit LiveReport(std::filesystem::path run) : run_(std::move(run)) {}
  // Writes the report, unless that was done in the last few seconds. What cannot be read or written is said
  // once, on stderr: the training does not depend on it.
  void refresh();

 private:
  using Clock = std::chrono::steady_clock;
  std::filesystem::path run_;
  Clock::time_point written_ = Clock::now() - std::chrono::hours(1);
  bool failed_ = false;
};

}  // namespace mg
