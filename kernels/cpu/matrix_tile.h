// The register tile under convolutions and linear layers: MR output pixels x NV vectors of output channels,
// summed over taps and input channels. Each pixel has one input row a tap (an *indirect* convolution: Dukhan,
// "The Indirect Convolution Algorithm", 2019), so spatial, temporal, strided and 1x1x1 cases and matrix
// products share one loop. Included once per instruction set, after kernels/cpu/isa.h.
#pragma once

namespace mg::MG_ISA {

inline constexpr int kVectors = 2;                       // vectors of output channels in a full panel
inline constexpr int kPanel = kVectors * kVectorFloats;  // output channels of a full panel
inline constexpr int kTilePixels =
    kVectorFloats == 16 ? 14 : 6;  // accumulators: 28 of 32 registers, 12 of 16
inline constexpr int kNarrowPixels =
    kVectorFloats == 16 ? 14 : 12;  // with a single vector: enough chains to hide latency

// rows: [taps][MR] pointers to rows of `channels` inputs. w: [taps][channels][NV * kVectorFloats]. out: MR
// rows. Unrolling must be asked for: gcc 12 otherwise keeps the accumulators in memory.
template <int MR, int NV>
inline void multiply_tile(std::int64_t taps, std::int64_t channels, const float* const* rows, const float* w,
                          float* const* out) {
  Vec sum[MR][NV];
#pragma GCC unroll 16
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) sum[m][v] = Vec{};
  }
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const float* x[MR];
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m) x[m] = rows[tap * MR + m];
    for (std::int64_t c = 0; c < channels; ++c) {
      Vec b[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) b[v] = *reinterpret_cast<const Vec*>(w + v * kVectorFloats);
      w += NV * kVectorFloats;
#pragma GCC unroll 16
      for (int m = 0; m < MR; ++m) {
        const float a = x[m][c];
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sum[m][v] += a * b[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) *reinterpret_cast<Vec*>(out[m] + v * kVectorFloats) = sum[m][v];
  }
}

// acc[MR][NV * kVectorFloats] += sum over pixels of x[p][c0 .. c0+MR) * dy[p][:]. rows: one pointer a pixel,
// already at c0.
template <int MR, int NV>
inline void accumulate_tile(std::int64_t pixels, const float* const* rows, std::int64_t c0, const float* dy,
                            float* acc) {
  Vec sum[MR][NV];
#pragma GCC unroll 16
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      sum[m][v] = *reinterpret_cast<const Vec*>(acc + (m * NV + v) * kVectorFloats);
    }
  }
  for (std::int64_t p = 0; p < pixels; ++p) {
    const float* x = rows[p] + c0;
    Vec b[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = *reinterpret_cast<const Vec*>(dy + v * kVectorFloats);
    dy += NV * kVectorFloats;
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m) {
      const float a = x[m];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) sum[m][v] += a * b[v];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < MR; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) *reinterpret_cast<Vec*>(acc + (m * NV + v) * kVectorFloats) = sum[m][v];
  }
}

}  // namespace mg::MG_ISA
