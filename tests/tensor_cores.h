// What tensor cores add to the error of a sum.
#pragma once

#include <bit>
#include <cstdint>

#include "reference.h"

namespace mg::test {

// The floor of check_close for sums of `depth` products. A GPU's tensor core truncates the sum after each
// instruction of 8 (tf32) or 16 (bf16) products: half an ulp on average, 2^-24 of the partial sum at most,
// always towards zero. A processor, and our fp32 kernels, round to nearest and have the usual floor.
inline double sum_floor(DType type, bool tf32, std::int64_t depth) {
  constexpr double kUsual = 4e-7;
  if (!on_cuda() || (type == DType::f32 && !tf32)) return kUsual;
  return kUsual + static_cast<double>(depth / (tf32 ? 8 : 16) + 1) * 0x1p-24;
}

// To 10 bits of mantissa, to nearest, ties away from zero.
inline float round_to_tf32(float x) {
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & ~0x1fffu);
}

}  // namespace mg::test
