#include "train/printable.h"

#include <fmt/core.h>

namespace mg {

std::string printable(std::string_view text, std::string_view keep) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 || byte == 0x7f) && keep.find(c) == std::string_view::npos) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace mg
