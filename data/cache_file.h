// The HDF5 file of a frame cache. Everything of HDF5 is behind this header; its calls are serialised, because
// the library is not built for threads. Pixels lie contiguously, so reading them needs no HDF5 at all: their
// place in the file is part of an entry.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace mg {

struct CacheEntry {
  std::string name, range;  // the clip as its manifest writes it, and range_text
  std::string source;       // absolute path
  std::string source_hash;  // XXH3-128, 32 hexadecimal digits; "" for a file that cannot be read
  std::int64_t source_bytes = -1, source_mtime = 0;  // mtime: nanoseconds since 1970
  double fps = 0;
  std::string decoder;  // what it was decoded by
  std::string fault;    // why there are no frames; "" where there are
  std::int64_t count = 0;
  int height = 0, width = 0;
  std::uint64_t offset = 0;  // of the first pixel in the file; set by read_cache_file

  std::uint64_t frame_bytes() const { return std::uint64_t{3} * static_cast<std::uint64_t>(height) * width; }
};

struct CacheFile {
  std::string decode;  // the specification all clips were decoded by
  std::vector<CacheEntry> entries;
};

// Throws Error(ExitCode::data) with the path: no HDF5 file, one that is not ours, another schema, an
// incomplete or a damaged one.
CacheFile read_cache_file(const std::filesystem::path& path);

// A new file at path; one that is there is overwritten. Without finish() it is no valid cache. Throws
// Error(ExitCode::failure) with the path and HDF5's reason.
class CacheWriter {
 public:
  CacheWriter(const std::filesystem::path& path, const std::string& decode);
  ~CacheWriter();
  CacheWriter(const CacheWriter&) = delete;
  CacheWriter& operator=(const CacheWriter&) = delete;

  // rgb: entry.count frames.
  void add(const CacheEntry& entry, const std::uint8_t* rgb);
  // Syncs everything, marks the file complete, and syncs that.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mg
