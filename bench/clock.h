// The two clocks of a benchmark.
#pragma once

#include <chrono>
#include <ctime>

namespace mg {

enum class BenchClock {
  wall,
  // The calling thread's own time on a core: time in which others had it does not count. For one thread.
  cpu,
};

// In seconds, from any beginning.
inline double now(BenchClock clock) {
  if (clock == BenchClock::wall) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace mg
