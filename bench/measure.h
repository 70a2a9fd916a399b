// Times a run, or counts what it does, beside the same by another library.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/bench.h"
#include "bench/launch_report.h"
#include "bench/peaks.h"

namespace mg {

struct Timing {
  double median_ms = 0, best_ms = 0;
  int runs = 0;
};

struct Result {
  std::string operation, name, shape, direction;
  int uses = 1;
  Unit unit = Unit::vector;
  double flops = 0, bytes = 0;
  std::optional<Timing> ours, peer;
  std::string peer_name;
  std::vector<Launch> launches;  // when counting
  std::vector<std::pair<std::string, std::int64_t>> dims;

  double gflops(double ms) const { return flops / ms / 1e6; }
  double gbytes(double ms) const { return bytes / ms / 1e6; }
  // What the machine allows: its peak, or its memory, whichever takes longer; 1 is as fast as can be.
  double share_of_roofline(const Peaks& peaks, double ms) const;
};

Timing time(Bench& bench, const std::function<void()>& work);

// All directions of one job.
std::vector<Result> measure(Bench& bench, const std::string& operation, const Job& job, LaunchReport* report,
                            const std::function<void(const Result&)>& done = {});
// Those of all of an operation's jobs. report: where counts come from; null where time is measured. done:
// after each result.
std::vector<Result> measure(Bench& bench, const Operation& operation, LaunchReport* report,
                            const std::function<void(const Result&)>& done = {});

}  // namespace mg
