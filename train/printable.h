// Texts from files of others on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace mg {

// Control characters, which could move the cursor or rename the window, as \x1b; all but those in keep.
std::string printable(std::string_view text, std::string_view keep = "");

}  // namespace mg
