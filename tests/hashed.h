// Numbers that both sides of a golden test compute from a name: tests/goldens/shared.py.
#pragma once

#include <cstdint>
#include <string>

namespace mg::test {

// splitmix64 of the FNV-1a hash of the name plus the index.
class Hashed {
 public:
  explicit Hashed(const std::string& name) {
    for (unsigned char byte : name) seed_ = (seed_ ^ byte) * 0x100000001B3u;
  }
  std::uint64_t bits(std::int64_t index) const {
    std::uint64_t z = seed_ + (static_cast<std::uint64_t>(index) + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // Uniform in [-1, 1).
  double operator()(std::int64_t index) const {
    return static_cast<double>(bits(index) >> 40) * 0x1p-23 - 1.0;
  }
  // Uniform in [0, below).
  std::int32_t integer(std::int64_t index, std::uint64_t below) const {
    return static_cast<std::int32_t>((bits(index) >> 33) * below >> 31);
  }

 private:
  std::uint64_t seed_ = 0xCBF29CE484222325u;
};

}  // namespace mg::test
