// The cases of linear layers, for their test, their gradient check and their benchmark.
#pragma once

#include <string>
#include <vector>

#include "kernels/epilogue.h"

namespace mg::test {

struct LinearCase {
  std::string name;
  std::int64_t rows, channels, outputs;
  bool bias = true;
  Activation activation = Activation::none;
  bool residual = false;
  bool pitched = true;  // rows rounded up to kChannelAlign, or dense
};

inline std::vector<LinearCase> linear_cases() {
  return {
      {"one", 1, 1, 1},
      {"a row of a head", 1, 128, 256, true, Activation::gelu},
      {"tile - 1", 13, 31, 31, true, Activation::relu, true},
      {"tile + 1", 15, 33, 33, false, Activation::quick_gelu},
      {"primes, dense", 101, 67, 71, true, Activation::gelu, true, false},
      {"classes", 37, 256, 17, true},
      {"feed-forward", 70, 128, 512, true, Activation::gelu},
      {"many rows", 900, 45, 16, false},
      {"no bias, residual", 29, 40, 48, false, Activation::none, true},
  };
}

}  // namespace mg::test
