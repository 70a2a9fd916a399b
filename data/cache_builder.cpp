#include "data/cache_builder.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "data/file_hash.h"
#include "data/ordered_workers.h"
#include "engine/error.h"
#include "engine/file.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

// The right to build a cache: the file beside it, locked. Another builder waits for the first and then finds
// its work done. A killed builder's lock goes with it.
class BuildLock {
 public:
  explicit BuildLock(const fs::path& cache) : path_(cache.string() + ".tmp") {
    for (;;) {
      file_ = Descriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
      struct flock whole {};
      whole.l_type = F_WRLCK;
      whole.l_whence = SEEK_SET;
      if (file_.get() < 0 || ::fcntl(file_.get(), F_OFD_SETLKW, &whole) != 0) {
        throw Error(ExitCode::failure, "{}: cannot write: {}", path_.string(), std::strerror(errno));
      }
      if (is_named(file_, path_)) return;  // else the one before has renamed or removed it
    }
  }
  ~BuildLock() {
    if (!renamed_) ::unlink(path_.c_str());
  }
  BuildLock(const BuildLock&) = delete;
  BuildLock& operator=(const BuildLock&) = delete;

  const fs::path& path() const { return path_; }
  void rename_to(const fs::path& cache) {
    if (::rename(path_.c_str(), cache.c_str()) != 0) {
      throw Error(ExitCode::failure, "{}: cannot rename: {}", path_.string(), std::strerror(errno));
    }
    renamed_ = true;
    sync_folder(cache.has_parent_path() ? cache.parent_path() : ".");
  }

 private:
  fs::path path_;
  Descriptor file_;
  bool renamed_ = false;
};

using ClipKey = std::pair<std::string, std::string>;  // absolute path of the source, range

ClipKey key_of(const Clip& clip) {
  return {fs::absolute(clip.path).lexically_normal().string(), range_text(clip)};
}

// Which entries of a cache file are right for a list of clips. An entry is, when its source is unchanged by
// size and time or by content, or when another file that was moved here has the same content.
class Matcher {
 public:
  explicit Matcher(const std::vector<CacheEntry>& entries) : entries_(entries) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      by_key_.emplace(ClipKey(entries_[i].source, entries_[i].range), i);
      by_size_.emplace(entries_[i].source_bytes, i);
    }
  }

  std::optional<std::size_t> find(const ClipKey& key) {
    const auto [file, is_new] = states_.try_emplace(key.first);
    if (is_new) file->second = file_state(key.first);
    const FileState& state = file->second;
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      const CacheEntry& e = entries_[found->second];
      if (FileState{e.source_bytes, e.source_mtime} == state) return found->second;
      if (e.source_bytes == state.bytes && same_content(e, key.first)) return found->second;
      return std::nullopt;
    }
    if (state.bytes < 0) return std::nullopt;
    const auto [begin, end] = by_size_.equal_range(state.bytes);
    for (auto it = begin; it != end; ++it) {
      if (entries_[it->second].range == key.second && same_content(entries_[it->second], key.first))
        return it->second;
    }
    return std::nullopt;
  }

 private:
  bool same_content(const CacheEntry& e, const std::string& path) {
    const auto [hash, is_new] = hashes_.try_emplace(path);
    if (is_new) hash->second = file_hash(path);
    return !hash->second.empty() && hash->second == e.source_hash;
  }

  const std::vector<CacheEntry>& entries_;
  std::map<ClipKey, std::size_t> by_key_;
  std::multimap<std::int64_t, std::size_t> by_size_;
  std::map<std::string, FileState> states_;
  std::map<std::string, std::string> hashes_;
};

struct Matches {
  std::vector<std::optional<std::size_t>> entry;  // for each clip
  bool complete() const {
    return std::all_of(entry.begin(), entry.end(), [](const auto& e) { return e.has_value(); });
  }
};

Matches match(const std::vector<CacheEntry>& entries, const std::vector<Clip>& clips) {
  Matcher matcher(entries);
  Matches matches;
  for (const Clip& clip : clips) matches.entry.push_back(matcher.find(key_of(clip)));
  return matches;
}

struct CacheOnDisk {
  Descriptor file;
  std::vector<CacheEntry> entries;
};

// The cache at path, if there is one; throws when it is not one of this specification.
CacheOnDisk read_existing(const fs::path& path, const DecodeSpec& spec) {
  for (;;) {
    std::error_code status;
    const auto kind = fs::status(path, status);
    if (!fs::exists(kind)) return {};
    if (!fs::is_regular_file(kind))
      throw Error(ExitCode::data, "{}: is no frame cache: not a file", path.string());
    CacheOnDisk cache{open_to_read(path), {}};
    CacheFile file = read_cache_file(path);
    // Another process may just have put a new one in its place; then the entries are not of this file.
    if (!is_named(cache.file, path)) continue;
    if (file.decode != to_string(spec)) {
      throw Error(ExitCode::data, "{}: holds frames of {}: expected {}; remove it or name another cache",
                  path.string(), file.decode, to_string(spec));
    }
    cache.entries = std::move(file.entries);
    return cache;
  }
}

// ---- building ----

// The clips of one source file that are to be decoded.
struct SourceGroup {
  std::vector<Clip> clips;
};
struct DecodedGroup {
  FileState state;
  std::string hash;
  std::vector<DecodedClip> clips;
};

class Builder {
 public:
  Builder(const fs::path& path, const CacheBuild& build, const CacheOnDisk& old, const Matches& matches)
      : path_(path), build_(build), old_(old), matches_(matches) {}

  void run(BuildLock& lock) {
    group_clips();
    CacheWriter writer(lock.path(), to_string(build_.spec));
    copy_kept(writer);
    decode_groups(writer);
    if (good_ == 0) {
      throw Error(ExitCode::data, "none of the {} clips can be decoded; the first: {}", build_.clips.size(),
                  first_fault_);
    }
    writer.finish();
    lock.rename_to(path_);
  }

 private:
  // Clips to decode by source, in order of first appearance; what is asked for twice is decoded once.
  void group_clips() {
    std::map<ClipKey, std::size_t> seen;
    std::map<std::string, std::size_t> group_of;
    for (std::size_t i = 0; i < build_.clips.size(); ++i) {
      const ClipKey key = key_of(build_.clips[i]);
      if (matches_.entry[i] || !seen.emplace(key, i).second) continue;
      const auto [group, is_new] = group_of.emplace(key.first, groups_.size());
      if (is_new) groups_.emplace_back();
      groups_[group->second].clips.push_back(build_.clips[i]);
    }
    for (const auto& [key, i] : seen) replaced_.insert(key);
    total_ = std::count_if(matches_.entry.begin(), matches_.entry.end(),
                           [](const auto& e) { return e.has_value(); }) +
             static_cast<std::int64_t>(seen.size());
  }

  // What is still right, and what other lists of clips may ask for again.
  void copy_kept(CacheWriter& writer) {
    for (std::size_t i = 0; i < matches_.entry.size(); ++i) {
      if (!matches_.entry[i]) continue;
      const CacheEntry& e = old_.entries[*matches_.entry[i]];
      note(build_.clips[i], e.fault);
    }
    std::vector<std::uint8_t> rgb;
    for (const CacheEntry& e : old_.entries) {
      if (replaced_.count(ClipKey(e.source, e.range)) > 0) continue;
      rgb.resize(static_cast<std::size_t>(e.count) * e.frame_bytes());
      read_at(old_.file, path_, e.offset, rgb.data(), rgb.size());
      writer.add(e, rgb.data());
    }
  }

  void decode_groups(CacheWriter& writer) {
    OrderedWorkers<DecodedGroup> workers(static_cast<std::int64_t>(groups_.size()), build_.threads,
                                         [this](std::int64_t i) {
                                           const SourceGroup& group = groups_[static_cast<std::size_t>(i)];
                                           const fs::path& source = group.clips.front().path;
                                           // The state first: a change while decoding shows the next time.
                                           DecodedGroup decoded{file_state(source), file_hash(source), {}};
                                           decoded.clips = decode_clips(group.clips, build_.spec);
                                           return decoded;
                                         });
    for (const SourceGroup& group : groups_) {
      const DecodedGroup decoded = workers.take();
      for (std::size_t i = 0; i < group.clips.size(); ++i) {
        add(writer, group.clips[i], decoded, decoded.clips[i]);
      }
    }
  }

  void add(CacheWriter& writer, const Clip& clip, const DecodedGroup& group, const DecodedClip& decoded) {
    note(clip, decoded.fault);
    CacheEntry e;
    e.name = clip.name;
    std::tie(e.source, e.range) = key_of(clip);
    e.source_hash = group.hash;
    e.source_bytes = group.state.bytes;
    e.source_mtime = group.state.mtime;
    e.fps = decoded.frames.fps;
    e.decoder = decoded.decoder;
    e.fault = decoded.fault;
    e.count = decoded.frames.count;
    e.height = build_.spec.height;
    e.width = build_.spec.width;
    writer.add(e, decoded.frames.rgb.data());
  }

  void note(const Clip& clip, const std::string& fault) {
    if (!fault.empty() && build_.on_bad == OnBad::stop) stop_at(build_, clip, fault);
    if (fault.empty()) ++good_;
    if (!fault.empty() && first_fault_.empty()) first_fault_ = fault;
    ++done_;
    if (build_.progress) build_.progress(done_, total_);
  }

  const fs::path& path_;
  const CacheBuild& build_;
  const CacheOnDisk& old_;
  const Matches& matches_;
  std::vector<SourceGroup> groups_;
  std::set<ClipKey> replaced_;  // by what is decoded now
  std::int64_t total_ = 0, done_ = 0, good_ = 0;
  std::string first_fault_;
};

}  // namespace

void stop_at(const CacheBuild& build, const Clip& clip, const std::string& reason) {
  throw Error(ExitCode::data, "{}:{}: {}", build.manifest.string(), clip.line, reason);
}

CachedClips find_or_build(const fs::path& path, const CacheBuild& build) {
  bool built = false;
  CacheOnDisk cache = read_existing(path, build.spec);
  Matches matches = match(cache.entries, build.clips);
  if (!matches.complete()) {
    BuildLock lock(path);
    // Another builder may have been at work until now.
    cache = read_existing(path, build.spec);
    matches = match(cache.entries, build.clips);
    if (!matches.complete()) {
      Builder(path, build, cache, matches).run(lock);
      built = true;
      cache = read_existing(path, build.spec);
      matches = match(cache.entries, build.clips);
    }
  }
  CachedClips found{std::move(cache.file), {}, built};
  for (std::size_t i = 0; i < build.clips.size(); ++i) {
    if (!matches.entry[i])
      stop_at(build, build.clips[i], build.clips[i].path.string() + ": changed while the cache was made");
    found.entries.push_back(cache.entries[*matches.entry[i]]);
  }
  return found;
}

}  // namespace mg
