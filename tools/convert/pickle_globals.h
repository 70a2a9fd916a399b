// The names of Python that a pickle may refer to, and what each means here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/convert/pickle_value.h"

namespace mg {

struct PickleGlobal {
  const char* module;
  const char* name;
  // Writes what a call with these arguments makes to result; answers null, or what arguments were expected.
  // Null itself: a name that is never called.
  const char* (*call)(const std::vector<const PickleValue*>& arguments, PickleValue& result);
  const char* stored_type = nullptr;  // of a storage: "F32"
};

const PickleGlobal* find_pickle_global(std::string_view module, std::string_view name);  // null: not allowed

}  // namespace mg
