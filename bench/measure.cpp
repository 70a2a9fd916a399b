#include "bench/measure.h"

#include <algorithm>

#include "bench/cuda/events.h"

namespace mg {

namespace {

constexpr int kLeastRuns = 7;

Timing summed_up(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[0], static_cast<int>(times.size())};
}

Timing time_on(CpuStream&, const std::function<void()>& work, const Effort& effort) {
  work();
  std::vector<double> times;
  const double first = now(BenchClock::wall);
  while (times.size() < kLeastRuns || now(BenchClock::wall) - first < effort.seconds) {
    const double begin = now(effort.clock);
    work();
    times.push_back(1e3 * (now(effort.clock) - begin));
  }
  return summed_up(std::move(times));
}

#if defined(MG_CUDA)
Timing time_on(CudaStream& stream, const std::function<void()>& work, const Effort& effort) {
  if (effort.once) return summed_up(device_times(stream, work, 1));
  work();  // workspaces, tables
  std::vector<double> times = device_times(stream, work, kLeastRuns);
  const double first = now(BenchClock::wall);
  while (now(BenchClock::wall) - first < effort.seconds) {
    const auto more = device_times(stream, work, kLeastRuns);
    times.insert(times.end(), more.begin(), more.end());
  }
  return summed_up(std::move(times));
}
#endif

}  // namespace

double Result::share_of_roofline(const Peaks& peaks, double ms) const {
  const double peak = unit == Unit::matrix ? peaks.matrix_gflops : peaks.vector_gflops;
  return std::max(flops / peak, bytes / peaks.gbytes) / 1e6 / ms;
}

Timing time(Bench& bench, const std::function<void()>& work) {
  return std::visit([&](auto& s) { return time_on(s, work, bench.effort); }, bench.stream);
}

std::vector<Result> measure(Bench& bench, const std::string& operation, const Job& job, LaunchReport* report,
                            const std::function<void(const Result&)>& done) {
  std::vector<Result> results;
  for (const Run& run : job.runs) {
    Result result;
    result.operation = operation, result.name = job.name, result.shape = job.shape,
    result.direction = run.direction;
    result.dims = job.dims;
    result.uses = job.uses, result.unit = run.unit, result.flops = run.flops, result.bytes = run.bytes;
    if (report != nullptr) {
      run.work();  // fills tables, which is not part of every run
      report->take();
      run.work();
      result.launches = report->take();
    }
    if (report == nullptr || bench.rehearsing) {
      result.ours = time(bench, run.work);
      if (!run.peer.name.empty()) {
        result.peer = time(bench, run.peer.work);
        result.peer_name = run.peer.name;
      }
    }
    if (done) done(result);
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<Result> measure(Bench& bench, const Operation& operation, LaunchReport* report,
                            const std::function<void(const Result&)>& done) {
  std::vector<Result> results;
  for (const MakeJob& make : operation.jobs(bench)) {
    const Job job = make();
    if (!results.empty()) bench.rehearsing = false;  // one job of each operation is enough
    const auto of_job = measure(bench, operation.name, job, report, done);
    results.insert(results.end(), of_job.begin(), of_job.end());
  }
  return results;
}

}  // namespace mg
