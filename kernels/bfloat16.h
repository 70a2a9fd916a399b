// bfloat16: the upper half of an fp32. Rounded to nearest, ties to even, as processors and GPUs do.
#pragma once

#include <bit>
#include <cstdint>

namespace mg {

struct BFloat16 {
  std::uint16_t bits;
};

inline float to_float(BFloat16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

inline BFloat16 to_bfloat16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  // A NaN stays one: rounding could carry its last bits into infinity.
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16)};
}

}  // namespace mg
