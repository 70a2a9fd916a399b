// The cases of attention, for its tests and its benchmark.
#pragma once

#include <string>
#include <vector>

#include "kernels/view.h"

namespace mg::test {

struct AttentionCase {
  std::string name;
  std::int64_t batch, queries, keys, heads, dim;
  std::vector<std::int32_t> lengths = {};  // of keys, a sample; empty: all
  float dropout = 0;
  bool pitched = true;  // rows rounded up to kChannelAlign, or dense

  Shape q() const { return {batch, queries, heads * dim}; }
  Shape k() const { return {batch, keys, heads * dim}; }
  std::int64_t pitch() const { return pitched ? round_up(heads * dim, kChannelAlign) : heads * dim; }
};

inline std::vector<AttentionCase> attention_cases() {
  return {
      {"one of everything", 1, 1, 1, 1, 1},
      {"primes, dense", 2, 5, 7, 3, 13, {}, 0, false},
      {"text", 3, 16, 16, 2, 64, {16, 2, 9}},
      {"text with dropout", 2, 16, 16, 2, 64, {16, 9}, 0.1f},
      {"block of keys - 1", 2, 31, 63, 2, 15},
      {"block of keys", 1, 32, 64, 1, 16},
      {"block of keys + 1", 1, 33, 65, 2, 17, {}, 0.3f},
      {"three blocks, lengths at their ends", 4, 9, 150, 2, 33, {64, 65, 128, 150}, 0.2f},
      {"cross-attention", 2, 12, 200, 4, 48},
      {"largest head", 1, 34, 131, 1, 128},
  };
}

}  // namespace mg::test
