// Two weight files, tensor by tensor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/convert/weight_file.h"

namespace mg {

enum class Comparison { equal, differs, shape_or_type, only_a, only_b };
std::string to_string(Comparison comparison);

struct TensorComparison {
  std::string name;
  Comparison result = Comparison::equal;
  std::string a, b;          // "F16 [3, 4]"; empty where there is none
  double max = 0, mean = 0;  // absolute differences, of elements that are numbers in both
  std::int64_t max_at = 0;   // the element of the largest, counted in C order
  std::int64_t differing =
      0;  // elements that are further apart than the tolerance, or not a number in one only
};

// All names of both, in order. Values are compared as they are in memory (F16 against F32 by value); a NaN
// equals a NaN, and infinities of one sign equal each other.
std::vector<TensorComparison> compare(const WeightFile& a, const WeightFile& b, double tolerance);

}  // namespace mg
