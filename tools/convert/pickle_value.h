// What a pickle is made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mg {

struct PickleGlobal;

enum class PickleKind {
  none,
  boolean,
  integer,
  big_integer,  // more than 64 bits; its value is not kept
  real,         // its value is not kept
  text,
  tuple,
  list,
  dict,
  global,   // a name of the table, not yet called
  storage,  // ("storage", element type, key, device, count)
  tensor,   // (storage, offset, sizes, strides, ...)
  opaque,   // bytes, sets, devices, ...: nothing here looks into them
};

// Values refer to each other as in Python: shared, and in cycles too, so nothing may follow them without a
// bound. A container's values are not copied, and what is read stays linear in the length of the pickle.
struct PickleValue {
  PickleKind kind = PickleKind::none;
  std::int64_t integer = 0;               // integer, boolean
  std::string text;                       // text
  std::vector<const PickleValue*> items;  // tuple, list; dict: key, value, key, value; storage, tensor
  const PickleGlobal* global = nullptr;   // global; opaque: what made it, null for bytes and sets
};

// "a dict of 3 entries", "an int", "None"
std::string describe(const PickleValue& value);

}  // namespace mg
