#include "bench/peaks.h"

#include <algorithm>
#include <vector>

#include "bench/cuda/device_peaks.h"

namespace mg {

namespace {

double fma_peak(CpuStream& stream, BenchClock clock, int tries) {
  // About 1 ms a try: long for the clock's resolution, short between two interruptions by others.
  const std::int64_t chunks = std::int64_t{8} * stream.threads();
  std::vector<float> sums(static_cast<std::size_t>(chunks));
  double flops = 0, best = 0;
  const FmaLoop loop{sums.data(), chunks, 40'000, 0.999F, 0.001F, &flops};
  for (int i = 0; i < tries; ++i) {
    const double begin = now(clock);
    fma_loop(loop, stream);
    best = std::max(best, flops / (now(clock) - begin) / 1e9);
  }
  return best;
}

// Three arrays of 64 MiB: larger than the caches of most processors. A store reads its line first, which is
// counted as STREAM counts it: not at all.
double triad_peak(Bench& bench, CpuStream& stream, int tries) {
  constexpr std::int64_t kCount = std::int64_t{16} << 20;
  const Array y = parameter(bench, {kCount}, Array::Fill::zeros),
              a = parameter(bench, {kCount}, Array::Fill::ones),
              b = parameter(bench, {kCount}, Array::Fill::ones);
  double best = 0;
  for (int i = 0; i < tries; ++i) {
    const double begin = now(bench.effort.clock);
    triad_loop({y.f32(), a.f32(), b.f32(), kCount, 64, 0.5F}, stream);
    best = std::max(best, 12.0 * kCount / (now(bench.effort.clock) - begin) / 1e9);
  }
  return best;
}

Peaks peaks_of(Bench& bench, CpuStream& stream, bool quick) {
  const double gflops = fma_peak(stream, bench.effort.clock, quick ? 3 : 200);
  return {gflops, gflops, triad_peak(bench, stream, quick ? 1 : 20)};
}
#if defined(MG_CUDA)
Peaks peaks_of(Bench& bench, CudaStream& stream, bool quick) {
  const DevicePeaks device = measure_device_peaks(stream, quick);
  double matrix = device.fp32_gflops;
  if (bench.dtype == DType::bf16) matrix = device.bf16_gflops;
  if (bench.dtype == DType::f32 && stream.tf32()) matrix = device.tf32_gflops;
  return {device.fp32_gflops, matrix, device.copy_gbytes};
}
#endif

}  // namespace

Peaks measure_peaks(Bench& bench, bool quick) {
  return std::visit([&](auto& s) { return peaks_of(bench, s, quick); }, bench.stream);
}

Peaks best_of(const Peaks& a, const Peaks& b) {
  return {std::max(a.vector_gflops, b.vector_gflops), std::max(a.matrix_gflops, b.matrix_gflops),
          std::max(a.gbytes, b.gbytes)};
}

}  // namespace mg
