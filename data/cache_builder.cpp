#include "data/cache_builder.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <tuple>

#include "data/cache_match.h"
#include "data/file_hash.h"
#include "data/ordered_workers.h"
#include "engine/error.h"
#include "engine/file_lock.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

void say(const CacheBuild& build, const std::string& line) {
  if (build.report && !line.empty()) build.report(line);
}

int signal_of(const CacheBuild& build) { return build.stop ? build.stop() : 0; }

void end_if_stopped(const CacheBuild& build, const std::string& what) {
  const int signal = signal_of(build);
  if (signal != 0) throw Error(static_cast<ExitCode>(128 + signal), "stopped {}", what);
}

// Another builder is waited for; then its work is done. A killed builder's lock goes with it.
void take(FileLock& lock, const fs::path& cache, const CacheBuild& build) {
  constexpr int kPatience = 10;  // tenths of a second
  for (int waited = 0; !lock.try_take(); ++waited) {
    if (waited == kPatience) {
      say(build,
          fmt::format("{}: waiting for {}, which makes this frame cache", cache.string(), lock.holder()));
    }
    end_if_stopped(build, fmt::format("while waiting for {} to make {}", lock.holder(), cache.string()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  say(build, lock.warning());
}

// The right entries of the cache at a path.
struct CacheOnDisk {
  Descriptor file;
  std::vector<CacheEntry> entries;
  std::vector<std::optional<std::size_t>> matches;  // for each clip of the build
  std::string useless;                              // why what is there is of no use

  bool complete() const {
    return std::all_of(matches.begin(), matches.end(), [](const auto& e) { return e.has_value(); });
  }
};

// Throws when what is at path is no cache, or one of another specification.
CacheOnDisk read_existing(const fs::path& path, const CacheBuild& build) {
  CacheOnDisk cache;
  for (;;) {
    std::error_code status;
    const auto kind = fs::status(path, status);
    if (!fs::exists(kind)) break;
    if (!fs::is_regular_file(kind))
      throw Error(ExitCode::data, "{}: is no frame cache: not a file", path.string());
    cache.file = open_to_read(path);
    std::optional<CacheFile> file = read_cache_file(path, cache.useless);
    // Another process may just have put a new one in its place; then the entries are not of this file.
    if (!is_named(cache.file, path)) continue;
    if (!file) break;
    cache.useless.clear();
    if (file->decode != to_string(build.spec)) {
      throw Error(ExitCode::data, "{}: holds frames of {}: expected {}; remove it or name another cache",
                  path.string(), file->decode, to_string(build.spec));
    }
    cache.entries = std::move(file->entries);
    break;
  }
  cache.matches = match_entries(cache.entries, build.clips, path,
                                [&] { end_if_stopped(build, "while looking for changes of the videos"); });
  return cache;
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
  Builder(const fs::path& path, const CacheBuild& build, const CacheOnDisk& old)
      : path_(path), build_(build), old_(old) {}

  // When it is stopped, what is decoded by then is a cache all the same.
  void run() {
    group_clips();
    CacheWriter writer(path_, to_string(build_.spec));
    copy_kept(writer);
    decode_groups(writer);
    if (good_ == 0) {
      end_if_stopped(build_, "before a first clip was decoded");
      throw Error(ExitCode::data, "none of the {} clips can be decoded; the first: {}", build_.clips.size(),
                  first_fault_);
    }
    const std::string kept =
        fmt::format("while decoding: {} of {} clips are kept in {}; the same command goes on from there",
                    done_, total_, path_.string());
    if (decoded_ == 0) end_if_stopped(build_, kept);
    writer.finish();
    end_if_stopped(build_, kept);
  }

 private:
  // Clips to decode by source, in order of first appearance; what is asked for twice is decoded once.
  void group_clips() {
    std::map<ClipKey, std::size_t> seen;
    std::map<std::string, std::size_t> group_of;
    for (std::size_t i = 0; i < build_.clips.size(); ++i) {
      const ClipKey key = clip_key(build_.clips[i], path_);
      if (old_.matches[i] || !seen.emplace(key, i).second) continue;
      const auto [group, is_new] = group_of.emplace(key.first, groups_.size());
      if (is_new) groups_.emplace_back();
      groups_[group->second].clips.push_back(build_.clips[i]);
    }
    for (const auto& [key, i] : seen) replaced_.insert(key);
    total_ =
        std::count_if(old_.matches.begin(), old_.matches.end(), [](const auto& e) { return e.has_value(); }) +
        static_cast<std::int64_t>(seen.size());
  }

  // What is still right, and what other lists of clips may ask for again.
  void copy_kept(CacheWriter& writer) {
    for (std::size_t i = 0; i < old_.matches.size(); ++i) {
      if (!old_.matches[i]) continue;
      const CacheEntry& e = old_.entries[*old_.matches[i]];
      note(build_.clips[i], e.fault);
    }
    std::vector<std::uint8_t> rgb;
    for (const CacheEntry& e : old_.entries) {
      if (replaced_.count(ClipKey(e.source, e.range)) > 0) continue;
      rgb.resize(static_cast<std::size_t>(e.count) * e.frame_bytes());
      read_frames(old_.file, path_, e, 0, e.count, rgb.data());
      writer.add(e, rgb.data());
    }
  }

  void decode_groups(CacheWriter& writer) {
    const auto stopped = [this] { return signal_of(build_) != 0; };
    OrderedWorkers<DecodedGroup> workers(static_cast<std::int64_t>(groups_.size()), build_.threads,
                                         [&](std::int64_t i) {
                                           const SourceGroup& group = groups_[static_cast<std::size_t>(i)];
                                           if (stopped()) return DecodedGroup{};
                                           const fs::path& source = group.clips.front().path;
                                           // The state first: a change while decoding shows the next time.
                                           DecodedGroup decoded{file_state(source), file_hash(source), {}};
                                           decoded.clips = decode_clips(group.clips, build_.spec, stopped);
                                           return decoded;
                                         });
    for (const SourceGroup& group : groups_) {
      const DecodedGroup decoded = workers.take();
      for (std::size_t i = 0; i < decoded.clips.size(); ++i) {
        if (!decoded.clips[i].stopped) add(writer, group.clips[i], decoded, decoded.clips[i]);
      }
    }
  }

  void add(CacheWriter& writer, const Clip& clip, const DecodedGroup& group, const DecodedClip& decoded) {
    note(clip, decoded.fault);
    CacheEntry e;
    e.name = clip.name;
    std::tie(e.source, e.range) = clip_key(clip, path_);
    e.source_hash = group.hash;
    e.source_bytes = group.state.bytes;
    e.source_mtime = group.state.mtime;
    e.fps = decoded.frames.fps;
    e.decoder = decoded.decoder;
    e.fault = decoded.fault;
    e.count = decoded.frames.count;
    e.height = build_.spec.height;
    e.width = build_.spec.width;
    writer.add(std::move(e), decoded.frames.rgb.data());
    ++decoded_;
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
  std::vector<SourceGroup> groups_;
  std::set<ClipKey> replaced_;  // by what is decoded now
  std::int64_t total_ = 0, done_ = 0, good_ = 0, decoded_ = 0;
  std::string first_fault_;
};

}  // namespace

void read_frames(const Descriptor& file, const fs::path& path, const CacheEntry& e, std::int64_t first,
                 std::int64_t count, std::uint8_t* to) {
  const auto bytes = static_cast<std::size_t>(e.frame_bytes());
  read_at(file, path, e.offset + static_cast<std::uint64_t>(first) * bytes, to,
          static_cast<std::size_t>(count) * bytes);
  for (std::int64_t i = first; i < first + count; ++i, to += bytes) {
    if (frame_check(to, bytes) != e.checks[static_cast<std::size_t>(i)]) {
      throw Error(ExitCode::data,
                  "{}: is damaged: frame {} of clip {} ({}) is not what was written: remove the "
                  "file, and it is made anew from the videos",
                  path.string(), i, e.name, e.range);
    }
  }
}

void stop_at(const CacheBuild& build, const Clip& clip, const std::string& reason) {
  throw Error(ExitCode::data, "{}:{}: {}", build.manifest.string(), clip.line, reason);
}

CachedClips find_or_build(const fs::path& path, const CacheBuild& build) {
  bool built = false;
  CacheOnDisk cache = read_existing(path, build);
  if (!cache.complete()) {
    FileLock lock(path.string() + ".lock");
    take(lock, path, build);
    // Another builder may have been at work until now.
    cache = read_existing(path, build);
    if (!cache.complete()) {
      if (!cache.useless.empty())
        say(build, fmt::format("{}: the frame cache {}: it is made anew", path.string(), cache.useless));
      Builder(path, build, cache).run();
      built = true;
      cache = read_existing(path, build);
    }
  }
  CachedClips found{std::move(cache.file), {}, built};
  for (std::size_t i = 0; i < build.clips.size(); ++i) {
    if (!cache.matches[i])
      stop_at(build, build.clips[i], build.clips[i].path.string() + ": changed while the cache was made");
    found.entries.push_back(cache.entries[*cache.matches[i]]);
  }
  return found;
}

}  // namespace mg
