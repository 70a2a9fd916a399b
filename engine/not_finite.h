// Numbers that no model works with: NaN and infinity, and a variance below zero in BatchNorm's running_var.
#pragma once

#include <string>
#include <vector>

#include "engine/safetensors.h"

namespace mg {

// The first such number of a tensor.
struct UnusableNumbers {
  std::int64_t count = 0;  // 0: every number is usable
  std::string place;       // its index in each dimension: "[3, 0, 1]"
  float value = 0;
};

// name decides by its ending whether the numbers are variances. Tensors of integers are always usable. The
// tensor is dense and on the host.
UnusableNumbers unusable_numbers(const std::string& name, const Tensor& tensor);

// "stem.0.weight [3, 0, 0, 1, 1] is nan, and 4 more of its 81 numbers are not finite"
std::string describe(const std::string& name, const Tensor& tensor, const UnusableNumbers& numbers);

// A line of describe() for each tensor that has such numbers.
std::vector<std::string> unusable_tensors(const TensorMap& tensors);

// Error(code) that names source and lists the lines (the first 20), then advice. No lines: no error.
void refuse_unusable(const std::vector<std::string>& lines, ExitCode code, const std::string& source,
                     const std::string& advice = "");

}  // namespace mg
