// Compiled once per instruction set (see kernels/cpu/isa.h). Enough independent registers to hide the latency
// of two units of four cycles, few enough that none goes to memory. Without a fused instruction (portable) a
// multiplication and an addition count all the same.
#include "bench/peaks.h"

#include "kernels/cpu/isa.h"

namespace mg::MG_ISA {

namespace {

#if defined(MG_ISA_avx512)
constexpr int kRegisters = 24;
#else
constexpr int kRegisters = 12;
#endif

float chain(std::int64_t iterations, float factor, float term) {
  const Vec a = Vec{} + factor, b = Vec{} + term;
  Vec registers[kRegisters];
#pragma GCC unroll 24
  for (int r = 0; r < kRegisters; ++r) registers[r] = Vec{} + static_cast<float>(r);
  for (std::int64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 24
    for (int r = 0; r < kRegisters; ++r) registers[r] = registers[r] * a + b;
  }
  Vec sum{};
#pragma GCC unroll 24
  for (int r = 0; r < kRegisters; ++r) sum += registers[r];
  float total = 0;
  for (int lane = 0; lane < kVectorFloats; ++lane) total += sum[lane];
  return total;
}

}  // namespace

void fma_loop(const FmaLoop& args, CpuStream& stream) {
  stream.parallel_for(args.chunks, [&](std::int64_t chunk, int) {
    args.sums[chunk] = chain(args.iterations, args.factor, args.term);
  });
  *args.flops = 2.0 * kRegisters * kVectorFloats * static_cast<double>(args.iterations * args.chunks);
}

void triad_loop(const TriadLoop& args, CpuStream& stream) {
  const std::int64_t each = args.count / args.chunks;
  stream.parallel_for(args.chunks, [&](std::int64_t chunk, int) {
    float* y = args.y + chunk * each;
    const float *a = args.a + chunk * each, *b = args.b + chunk * each;
    for (std::int64_t i = 0; i < each; i += kVectorFloats) {
      *reinterpret_cast<Vec*>(y + i) =
          *reinterpret_cast<const Vec*>(a + i) + *reinterpret_cast<const Vec*>(b + i) * args.factor;
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(fma_loop, FmaLoop)
MG_KERNEL(triad_loop, TriadLoop)
