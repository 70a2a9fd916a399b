// Which elements dropout keeps: the bits of kernels/epilogue.h's DropoutMask.
#pragma once

#include "kernels/epilogue.h"

namespace mg::cuda {

// Bit j: element (row, column + j) of rows of `channels` is kept, j < kWidth.
template <int kWidth>
__device__ __forceinline__ unsigned dropout_keeps(const DropoutMask& mask, std::int64_t row,
                                                  std::int64_t channels, int column) {
  // Divided in 32 bits where that is enough: twice as fast.
  const bool narrow = ((row | mask.rows_per_sample) >> 32) == 0;
  const std::int64_t sample =
      narrow ? static_cast<std::uint32_t>(row) / static_cast<std::uint32_t>(mask.rows_per_sample)
             : row / mask.rows_per_sample;
  const std::int64_t element = (row - sample * mask.rows_per_sample) * channels + column;
  const auto group = static_cast<std::uint32_t>(element / 4);
  const unsigned offset = static_cast<unsigned>(element % 4);
  // Bits of whole groups first, then shifted to where the elements begin.
  unsigned keeps = 0;
#pragma unroll
  for (unsigned g = 0; g < (kWidth + 3) / 4 + (kWidth > 1 ? 1 : 0); ++g) {
    if (4 * g >= kWidth + offset) break;
    const Philox4 draw = mask.key.draw(mask.sample_offset + static_cast<std::uint32_t>(sample), group + g);
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) keeps |= (uniform01(draw.v[i]) >= mask.p ? 1u : 0u) << (4 * g + i);
  }
  return keeps >> offset;
}

}  // namespace mg::cuda
