// Rows of channels: the cases of operations that work row by row or channel by channel.
#pragma once

#include <string>
#include <vector>

#include "kernels/view.h"

namespace mg::test {

struct RowCase {
  std::string name;
  std::int64_t rows, channels;
  bool pitched = true;  // rows rounded up to kChannelAlign, or dense

  Shape shape() const { return {rows, channels}; }
  std::int64_t pitch() const { return pitched ? round_up(channels, kChannelAlign) : channels; }
};

inline std::vector<RowCase> row_cases() {
  return {
      {"two numbers", 2, 1},
      {"vector - 1", 3, 15},
      {"vector", 7, 16},
      {"vector + 1, dense", 5, 17, false},
      {"block - 1", 255, 45},
      {"block + 1", 257, 45, false},
      {"many rows", 1013, 3},
      {"wide", 13, 230},
      {"two blocks of wide rows", 149, 144},
      {"primes, dense", 31, 101, false},
      // The networks' own widths, and what tiles of 8 x 32 or 256 channels leave over.
      {"dense, whole vectors", 19, 40, false},
      {"stem", 67, 64},
      {"R(2+1)D, second stage", 9, 288},
      {"R(2+1)D, third stage", 5, 460},
      {"classifier", 6, 576},
      {"text", 11, 768},
      {"R(2+1)D, fourth stage", 7, 921},
      {"R(2+1)D, last stage", 3, 1152},
      {"tile of columns + 1", 2, 2049},
  };
}

}  // namespace mg::test
