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
  };
}

}  // namespace mg::test
