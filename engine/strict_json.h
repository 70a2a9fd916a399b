// JSON from files that others wrote: a key that is there twice would be read differently by different
// readers, and depth costs stack.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mg {

// Throws Error(ExitCode::checkpoint) for what is not JSON, a key that one object has twice, and more than
// max_depth objects and arrays inside each other. where begins the message: "model.safetensors: the header".
nlohmann::json parse_strict_json(std::string_view text, int max_depth, const std::string& where);

}  // namespace mg
