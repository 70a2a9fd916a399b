#include "engine/strict_json.h"

#include <set>
#include <vector>

#include "engine/error.h"

namespace mg {

using nlohmann::json;

json parse_strict_json(std::string_view text, int max_depth, const std::string& where) {
  std::vector<std::set<std::string>> keys(static_cast<std::size_t>(max_depth) + 1);
  auto check = [&](int depth, json::parse_event_t event, json& value) {
    const bool opens =
        event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
    if (opens && depth >= max_depth) {
      throw Error(ExitCode::checkpoint, "{} is nested deeper than {} levels", where, max_depth);
    }
    if (event == json::parse_event_t::object_start) keys[static_cast<std::size_t>(depth) + 1].clear();
    if (event == json::parse_event_t::key) {
      const auto& name = value.get_ref<const std::string&>();
      if (!keys[static_cast<std::size_t>(depth)].insert(name).second) {
        throw Error(ExitCode::checkpoint, "{}: the key '{}' is there twice", where, name);
      }
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::exception& e) {
    throw Error(ExitCode::checkpoint, "{} is not JSON: {}", where, e.what());
  }
}

}  // namespace mg
