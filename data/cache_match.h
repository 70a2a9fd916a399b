// Which entries of a cache are right for a list of clips.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/cache_file.h"
#include "data/manifest.h"

namespace mg {

using ClipKey = std::pair<std::string, std::string>;  // CacheEntry.source and range

// cache: the file, beside which the source is named: both may be moved together.
ClipKey clip_key(const Clip& clip, const std::filesystem::path& cache);

// For each clip its entry, if there is one. An entry is right when its source is unchanged by size and time,
// or by content; so is that of a file that was elsewhere, or had another name. before_each is called before
// each clip.
std::vector<std::optional<std::size_t>> match_entries(const std::vector<CacheEntry>& entries,
                                                      const std::vector<Clip>& clips,
                                                      const std::filesystem::path& cache,
                                                      const std::function<void()>& before_each);

}  // namespace mg
