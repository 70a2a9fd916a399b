#include "data/clip_path.h"

#include <algorithm>
#include <array>

#include "engine/names.h"

namespace mg {

namespace fs = std::filesystem;

fs::path find_clip(const fs::path& folder, const std::string& written) {
  const auto path_of = [&](const std::string& name) { return (folder / name).lexically_normal(); };
  const std::string plain = trimmed(written);
  for (const std::string& name : std::array{written, plain, composed(plain), decomposed(plain)}) {
    std::string with_slashes = name;
    std::replace(with_slashes.begin(), with_slashes.end(), '\\', '/');
    for (const std::string& spelling : {name, with_slashes}) {
      std::error_code unreadable;
      if (fs::exists(path_of(spelling), unreadable)) return path_of(spelling);
    }
  }
  return path_of(plain);
}

}  // namespace mg
