// The file of a frame cache, from its first byte to its last:
//
//   front      4096 bytes: HDF5's superblock and root
//   pixels     of one clip after the other, every frame with a checksum in the index
//   rest       the rest of HDF5's description
//   index      CBOR: what this reader goes by; the same as HDF5 says, with checksums
//   footer     one line: where the index begins, and its XXH3-128
//
// HDF5 is there for others to read the file with. Reading it here would hand a damaged file to a library that
// crashes on some; so every byte of the file has a checksum, and nothing is believed before it is right.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/file.h"

namespace mg {

inline constexpr const char* kCacheMark = "mg frame cache";
inline constexpr std::int64_t kCacheSchema = 2;

struct CacheEntry {
  std::string name, range;  // the clip as its manifest writes it, and range_text
  std::string source;       // path relative to the cache's folder
  std::string source_hash;  // XXH3-128, 32 hexadecimal digits; "" for a file that cannot be read
  std::int64_t source_bytes = -1, source_mtime = 0;  // mtime: nanoseconds since 1970
  double fps = 0;
  std::string decoder;  // what it was decoded by
  std::string fault;    // why there are no frames; "" where there are
  std::int64_t count = 0;
  int height = 0, width = 0;
  std::uint64_t offset = 0;           // of the first pixel in the file
  std::vector<std::uint32_t> checks;  // frame_check of each frame

  std::uint64_t frame_bytes() const { return std::uint64_t{3} * static_cast<std::uint64_t>(height) * width; }
};
std::uint32_t frame_check(const std::uint8_t* rgb, std::size_t bytes);

struct CacheFile {
  std::string decode;  // the specification all clips were decoded by
  std::vector<CacheEntry> entries;
};

// Empty for a cache that is of no use: cut, damaged, unfinished, or of another schema; why then says so.
// Throws Error(ExitCode::data) with the path for a file that cannot be read, and for one that is not known to
// be a cache, which is not ours to replace.
std::optional<CacheFile> read_cache_file(const std::filesystem::path& path, std::string& why);

// A new file, written aside: path is untouched before finish(). Throws Error(ExitCode::failure) with the path
// and the system's reason.
class CacheWriter {
 public:
  CacheWriter(const std::filesystem::path& path, const std::string& decode);

  // rgb: entry.count frames. Sets entry's offset and checks.
  void add(CacheEntry entry, const std::uint8_t* rgb);
  // Writes what tells of the pixels, syncs and renames.
  void finish();

 private:
  FileWriter file_;
  std::string decode_;
  std::vector<CacheEntry> entries_;
  std::uint64_t end_;  // of the pixels
};

}  // namespace mg
