// Finds the clips of a list in a cache file, and makes a new file where some are missing.
#pragma once

#include <filesystem>
#include <vector>

#include "data/cache_file.h"
#include "data/descriptor.h"
#include "data/frame_cache.h"

namespace mg {

struct CachedClips {
  Descriptor file;                  // the cache that the entries are of
  std::vector<CacheEntry> entries;  // for each clip of the list
  bool built = false;               // false: all of them were there already
};

// As FrameCache::open says.
CachedClips find_or_build(const std::filesystem::path& path, const CacheBuild& build);

// count frames of an entry from first on, checked. Throws Error(ExitCode::data) with the cache's path when
// they cannot be read, or are not what was written.
void read_frames(const Descriptor& file, const std::filesystem::path& path, const CacheEntry& entry,
                 std::int64_t first, std::int64_t count, std::uint8_t* to);

// Throws the Error of a bad clip, which names the manifest and its line.
[[noreturn]] void stop_at(const CacheBuild& build, const Clip& clip, const std::string& reason);

}  // namespace mg
