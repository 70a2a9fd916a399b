// The machine's roofline, as measured: the fastest that its multiply-add units go on registers alone, and the
// fastest that it moves bytes of arrays that no cache holds.
#pragma once

#include <cstdint>

#include "bench/bench.h"

namespace mg {

struct Peaks {
  double vector_gflops = 0;  // fp32 multiply-adds
  double matrix_gflops = 0;  // of the unit that matrix products of this element type can use
  double gbytes = 0;         // GB/s, read and written bytes together
};

// The best of several tries, because others may be using the machine. quick: for a rehearsal, the figures
// mean nothing.
Peaks measure_peaks(Bench& bench, bool quick = false);
// The better of each: measured before and after, in case others used the cores.
Peaks best_of(const Peaks& a, const Peaks& b);

// On the processor: a loop over registers in so many chunks, which the stream's threads share.
struct FmaLoop {
  float* sums;  // [chunks], written so that the work cannot be left out
  std::int64_t chunks, iterations;
  float factor, term;       // each register goes through r * factor + term
  double* flops = nullptr;  // out: operations of all chunks together
};
void fma_loop(const FmaLoop&, CpuStream&);
// y[i] = a[i] + factor * b[i] (STREAM's triad; McCalpin 1995), count a multiple of 16 * chunks, 64-byte
// aligned.
struct TriadLoop {
  float* y;
  const float *a, *b;
  std::int64_t count, chunks;
  float factor;
};
void triad_loop(const TriadLoop&, CpuStream&);
// For MG_KERNEL: neither has anything in bf16.
template <class F>
void for_each_view(FmaLoop&, F) {}
template <class F>
void for_each_view(TriadLoop&, F) {}

}  // namespace mg
