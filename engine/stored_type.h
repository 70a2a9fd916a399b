// Element types as weight files have them, and what they become in memory: narrower floats become fp32, which
// is exact, fp64 is rounded to it, narrow integers become i32.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/view.h"

namespace mg {

struct StoredType {
  const char* name;     // as the safetensors format calls it: "BF16"
  std::uint64_t bytes;  // of one element in the file
  DType dtype;
  // Elements of the file, at any alignment, to elements of dtype; null where the bytes stay as they are.
  void (*convert)(const char* from, std::int64_t count, void* to);
};

std::span<const StoredType> stored_types();
const StoredType* find_stored_type(std::string_view name);  // null: there is none of this name
const StoredType& stored_type(DType dtype);                 // the one whose bytes stay as they are

}  // namespace mg
