#include "data/file_hash.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <vector>

#include "data/picture_folder.h"
#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

// Of a folder of pictures: all its bytes, and the latest time. {} where it is none.
FileState folder_state(const fs::path& folder) {
  FileState all{0, 0};
  try {
    for (const fs::path& picture : picture_files(folder)) {
      const FileState one = file_state(picture);
      all = {all.bytes + one.bytes, std::max(all.mtime, one.mtime)};
    }
  } catch (const Error&) {
    return {};
  }
  return all;
}

std::string folder_hash(const fs::path& folder) {
  std::string all;
  try {
    for (const fs::path& picture : picture_files(folder)) {
      all += picture.filename().string() + '\0' + file_hash(picture) + '\n';
    }
  } catch (const Error&) {
    return "";
  }
  return text_hash(all);
}

std::string to_text(const XXH128_hash_t& hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

FileState file_state(const fs::path& path) {
  struct stat state {};
  if (::stat(path.c_str(), &state) != 0) return {};
  if (S_ISDIR(state.st_mode)) return folder_state(path);
  if (!S_ISREG(state.st_mode)) return {};
  return {state.st_size, std::int64_t{state.st_mtim.tv_sec} * 1'000'000'000 + state.st_mtim.tv_nsec};
}

std::string file_hash(const fs::path& path) {
  std::error_code status;
  if (fs::is_directory(path, status)) return folder_hash(path);
  std::ifstream file(path, std::ios::binary);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  if (!file || !state || file_state(path).bytes < 0) return "";
  XXH3_128bits_reset(state.get());
  std::vector<char> buffer(std::size_t{1} << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), file.gcount() > 0) {
    XXH3_128bits_update(state.get(), buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return "";
  return to_text(XXH3_128bits_digest(state.get()));
}

std::string text_hash(std::string_view text) { return to_text(XXH3_128bits(text.data(), text.size())); }

}  // namespace mg
