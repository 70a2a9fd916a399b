// Numbers that both sides of a golden test compute from a name: tests/goldens/hashed.py.
#pragma once

#include <cstdint>
#include <string>

namespace mg::test {

// Uniform in [-1, 1): splitmix64 of the FNV-1a hash of the name plus the index.
class Hashed {
 public:
  explicit Hashed(const std::string& name) {
    for (unsigned char byte : name) seed_ = (seed_ ^ byte) * 0x100000001B3u;
  }
  double operator()(std::int64_t index) const {
    std::uint64_t z = seed_ + (static_cast<std::uint64_t>(index) + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return static_cast<double>(z >> 40) * 0x1p-23 - 1.0;
  }

 private:
  std::uint64_t seed_ = 0xCBF29CE484222325u;
};

}  // namespace mg::test
