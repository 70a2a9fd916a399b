#include "data/file_hash.h"

#include <fmt/core.h>
#include <xxhash.h>

#include <fstream>
#include <memory>
#include <vector>

namespace mg {

namespace fs = std::filesystem;

FileState file_state(const fs::path& path) {
  std::error_code status;
  if (!fs::is_regular_file(path, status)) return {};
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path, status));
  const auto mtime = fs::last_write_time(path, status);
  if (status) return {};
  return {bytes, std::chrono::nanoseconds(mtime.time_since_epoch()).count()};
}

std::string file_hash(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  if (!file || !state || file_state(path).bytes < 0) return "";
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(std::size_t{1} << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), file.gcount() > 0) {
    XXH3_128bits_update(state.get(), buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return "";
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace mg
