#include "data/cache_match.h"

#include <map>

#include "data/file_hash.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

fs::path absolute_path(const fs::path& path) { return fs::absolute(path).lexically_normal(); }

class Matcher {
 public:
  Matcher(const std::vector<CacheEntry>& entries, const fs::path& cache) : entries_(entries), cache_(cache) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      by_key_.emplace(ClipKey(entries_[i].source, entries_[i].range), i);
      by_size_.emplace(entries_[i].source_bytes, i);
    }
  }

  std::optional<std::size_t> find(const Clip& clip) {
    const auto [file, is_new] = states_.try_emplace(clip.path);
    if (is_new) file->second = file_state(clip.path);
    const FileState& state = file->second;
    const auto named = by_key_.find(clip_key(clip, cache_));
    if (named != by_key_.end()) {
      const CacheEntry& e = entries_[named->second];
      if (FileState{e.source_bytes, e.source_mtime} == state) return named->second;
    }
    if (state.bytes < 0) return std::nullopt;
    // What was moved has its time and the name in the manifest still, or at least its content.
    const std::string range = range_text(clip);
    const auto [begin, end] = by_size_.equal_range(state.bytes);
    for (auto it = begin; it != end; ++it) {
      const CacheEntry& e = entries_[it->second];
      if (e.range == range && e.name == clip.name && e.source_mtime == state.mtime) return it->second;
    }
    for (auto it = begin; it != end; ++it) {
      const CacheEntry& e = entries_[it->second];
      if (e.range == range && !e.source_hash.empty() && e.source_hash == hash_of(clip.path))
        return it->second;
    }
    return std::nullopt;
  }

 private:
  const std::string& hash_of(const fs::path& path) {
    const auto [hash, is_new] = hashes_.try_emplace(path);
    if (is_new) hash->second = file_hash(path);
    return hash->second;
  }

  const std::vector<CacheEntry>& entries_;
  const fs::path& cache_;
  std::map<ClipKey, std::size_t> by_key_;
  std::multimap<std::int64_t, std::size_t> by_size_;
  std::map<fs::path, FileState> states_;
  std::map<fs::path, std::string> hashes_;
};

}  // namespace

ClipKey clip_key(const Clip& clip, const fs::path& cache) {
  const fs::path folder = absolute_path(cache).parent_path();
  return {absolute_path(clip.path).lexically_proximate(folder).string(), range_text(clip)};
}

std::vector<std::optional<std::size_t>> match_entries(const std::vector<CacheEntry>& entries,
                                                      const std::vector<Clip>& clips, const fs::path& cache,
                                                      const std::function<void()>& before_each) {
  Matcher matcher(entries, cache);
  std::vector<std::optional<std::size_t>> matches;
  for (const Clip& clip : clips) {
    before_each();
    matches.push_back(matcher.find(clip));
  }
  return matches;
}

}  // namespace mg
