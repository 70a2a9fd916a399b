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
  bool relu = false;    // of the sum with the residual
  float dropout = 0;
  std::int64_t rows_per_sample = 1;
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
      {"dropout, odd channels", 130, 20, 71, true, Activation::gelu, true, false, false, 0.3f, 13},
      {"dropout, ReLU of the sum", 65, 24, 64, true, Activation::none, true, true, true, 0.5f, 5},
      {"ReLU of the sum", 127, 32, 30, true, Activation::none, true, true, true},
      {"text width", 5, 768, 288, true, Activation::gelu},
      {"one class", 128, 64, 1},
      {"48 columns", 300, 48, 45},
      // So many rows that the CUDA kernels take their wide tiles, of 144, 128 and 96 columns.
      {"many rows to 144", 31000, 5, 144},
      {"many rows to 128", 31000, 5, 128, false},
      {"many rows to 91", 31000, 5, 91, true, Activation::none, true},
      {"many rows of 144", 31000, 144, 5},
      {"many rows of 128", 31000, 128, 5, false},
      {"many rows of 91", 31000, 91, 5},
  };
}

}  // namespace mg::test
