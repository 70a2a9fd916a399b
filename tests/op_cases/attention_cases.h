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
      {"one query", 2, 1, 65, 2, 64, {65, 1}, 0.25f},
      {"small heads", 2, 63, 64, 3, 16, {64, 17}},
      {"small heads, dense and no whole vectors", 1, 64, 63, 3, 5, {}, 0.1f, false},
      {"heads of 24, one block of queries + 1", 1, 65, 127, 2, 24},
      {"heads of 32, keys by fours", 2, 127, 128, 1, 32, {128, 96}, 0.5f},
      {"heads of 64", 1, 128, 129, 2, 64, {}, 0.1f},
      {"heads of 80, padded rows", 2, 129, 65, 3, 80, {65, 64}},
      {"heads of 80 with dropout", 1, 17, 200, 2, 80, {}, 0.1f},
      {"heads of 128 with dropout", 2, 65, 100, 1, 128, {100, 33}, 0.2f},
      {"many positions", 1, 513, 200, 1, 32, {}, 0.1f},
      {"few queries, many keys", 1, 3, 2048, 1, 64, {2011}},
  };
}

}  // namespace mg::test
