#include "bench/fma_peak.h"

#include <algorithm>
#include <vector>

namespace mg {

double fma_peak(CpuStream& stream, BenchClock clock) {
  // About 1 ms a try: long for the clock's resolution, short between two interruptions by others.
  constexpr int kTries = 200;
  const std::int64_t chunks = std::int64_t{8} * stream.threads();
  std::vector<float> sums(static_cast<std::size_t>(chunks));
  double flops = 0, best = 0;
  const FmaLoop loop{sums.data(), chunks, 40'000, 0.999F, 0.001F, &flops};
  for (int i = 0; i < kTries; ++i) {
    const double begin = now(clock);
    fma_loop(loop, stream);
    best = std::max(best, flops / (now(clock) - begin) / 1e9);
  }
  return best;
}

}  // namespace mg
