// What tells whether a source, a file or a folder of pictures, is still the one that was decoded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace mg {

struct FileState {
  std::int64_t bytes = -1;  // no such file
  std::int64_t mtime = 0;   // nanoseconds since 1970
  friend bool operator==(const FileState&, const FileState&) = default;
};
FileState file_state(const std::filesystem::path& path);

// XXH3-128 of the file's bytes as 32 hexadecimal digits; "" when it cannot be read.
std::string file_hash(const std::filesystem::path& path);
std::string text_hash(std::string_view text);  // the same of these bytes

}  // namespace mg
