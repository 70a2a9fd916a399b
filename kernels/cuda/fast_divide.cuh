// n / divisor for 0 <= n < 2^31 without a division (Granlund and Montgomery 1994): a division takes some
// twenty instructions on a GPU.
#pragma once

#include <cstdint>

namespace mg::cuda {

struct FastDivide {
  std::uint32_t divisor = 1, multiplier = 1, shift = 0;
  FastDivide() = default;
  explicit FastDivide(std::uint32_t d) : divisor(d) {
    while ((std::uint64_t{1} << shift) < d) ++shift;
    multiplier = static_cast<std::uint32_t>((((std::uint64_t{1} << shift) - d) << 32) / d + 1);
  }
  __device__ __forceinline__ int operator()(int n) const {
    const auto u = static_cast<std::uint32_t>(n);
    return static_cast<int>((__umulhi(u, multiplier) + u) >> shift);
  }
};

}  // namespace mg::cuda
