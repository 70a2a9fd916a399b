#include "tools/convert/pickle_value.h"

#include <fmt/core.h>

#include "tools/convert/pickle_globals.h"

namespace mg {

using Kind = PickleKind;

std::string describe(const PickleValue& value) {
  switch (value.kind) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return "a bool";
    case Kind::integer:
    case Kind::big_integer:
      return "an int";
    case Kind::real:
      return "a float";
    case Kind::text:
      return "a text";
    case Kind::tuple:
      return fmt::format("a tuple of {}", value.items.size());
    case Kind::list:
      return fmt::format("a list of {}", value.items.size());
    case Kind::dict:
      return fmt::format("a dict of {}", value.items.size() / 2);
    case Kind::global:
      return fmt::format("{}.{}", value.global->module, value.global->name);
    case Kind::storage:
      return "a storage";
    case Kind::tensor:
      return "a tensor";
    case Kind::opaque:
      return value.global == nullptr ? "bytes or a set" : fmt::format("a {}", value.global->name);
  }
  return "?";
}

}  // namespace mg
