#include "data/frame_cache.h"

#include "data/cache_builder.h"
#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;

struct FrameCache::State {
  fs::path path;
  Descriptor file;
  std::vector<CacheEntry> entries;  // for each clip
  std::vector<BadClip> bad;
  bool built = false;

  const CacheEntry& good_entry(std::int64_t clip) const {
    expect(clip >= 0 && clip < static_cast<std::int64_t>(entries.size()), "clip {} of a cache with {} clips",
           clip, entries.size());
    const CacheEntry& e = entries[static_cast<std::size_t>(clip)];
    if (e.count == 0)
      throw Error(ExitCode::data, "{}: clip {} was skipped: {}", path.string(), e.name, e.fault);
    return e;
  }
};

FrameCache::FrameCache(std::unique_ptr<State> state) : state_(std::move(state)) {}
FrameCache::~FrameCache() = default;
FrameCache::FrameCache(FrameCache&&) noexcept = default;

FrameCache FrameCache::open(const fs::path& path, const CacheBuild& build) {
  if (build.clips.empty()) throw Error(ExitCode::data, "{}: there are no clips to be cached", path.string());
  CachedClips found = find_or_build(path, build);
  auto state = std::make_unique<State>();
  for (std::size_t i = 0; i < build.clips.size(); ++i) {
    const std::string& fault = found.entries[i].fault;
    if (fault.empty()) continue;
    if (build.on_bad == OnBad::stop) stop_at(build, build.clips[i], fault);
    state->bad.push_back({build.clips[i].line, build.clips[i].name, fault});
  }
  if (state->bad.size() == build.clips.size()) {
    throw Error(ExitCode::data, "none of the {} clips can be decoded; the first: {}", build.clips.size(),
                state->bad.front().reason);
  }
  state->path = path;
  state->file = std::move(found.file);
  state->entries = std::move(found.entries);
  state->built = found.built;
  return FrameCache(std::move(state));
}

std::int64_t FrameCache::clips() const { return static_cast<std::int64_t>(state_->entries.size()); }

Frames FrameCache::read(std::int64_t clip) const {
  const CacheEntry& e = state_->good_entry(clip);
  Frames frames{e.count, e.height, e.width, e.fps, {}};
  frames.rgb.resize(static_cast<std::size_t>(e.count) * frames.frame_bytes());
  mg::read_frames(state_->file, state_->path, e, 0, e.count, frames.rgb.data());
  return frames;
}

Frames FrameCache::read_frames(std::int64_t clip, const std::vector<std::int64_t>& numbers) const {
  const CacheEntry& e = state_->good_entry(clip);
  Frames frames{static_cast<std::int64_t>(numbers.size()), e.height, e.width, e.fps, {}};
  frames.rgb.resize(numbers.size() * frames.frame_bytes());
  std::uint8_t* to = frames.rgb.data();
  for (const std::int64_t number : numbers) {
    expect(number >= 0 && number < e.count, "frame {} of clip {} with {} frames", number, e.name, e.count);
    mg::read_frames(state_->file, state_->path, e, number, 1, to);
    to += frames.frame_bytes();
  }
  return frames;
}

std::int64_t FrameCache::frame_count(std::int64_t clip) const {
  return state_->entries.at(static_cast<std::size_t>(clip)).count;
}

const std::string& FrameCache::source_hash(std::int64_t clip) const {
  return state_->entries.at(static_cast<std::size_t>(clip)).source_hash;
}

const std::vector<BadClip>& FrameCache::bad_clips() const { return state_->bad; }
bool FrameCache::built() const { return state_->built; }

}  // namespace mg
