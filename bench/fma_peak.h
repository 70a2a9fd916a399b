// The fastest that this machine's multiply-add units go: a loop that touches registers alone.
#pragma once

#include <cstdint>

#include "bench/clock.h"
#include "kernels/stream.h"

namespace mg {

// Runs the loop in so many chunks, which the stream's threads share.
struct FmaLoop {
  float* sums;  // [chunks], written so that the work cannot be left out
  std::int64_t chunks, iterations;
  float factor, term;       // each register goes through r * factor + term
  double* flops = nullptr;  // out: operations of all chunks together
};
void fma_loop(const FmaLoop&, CpuStream&);

// GFLOP/s on all threads of the stream: the best of several tries, because others may be using the cores.
double fma_peak(CpuStream& stream, BenchClock clock);

}  // namespace mg
