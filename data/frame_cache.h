// The frame cache: an HDF5 file with every frame of every clip, decoded and resized once. One contiguous u8
// dataset [T,H,W,3] a clip under /clips, with its provenance as attributes (source, hash and size of the
// source file, range, fps, decoder); the root holds the schema version and the decode specification. It opens
// in h5py. (What this program reads of it: data/cache_file.h.)
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/frames.h"
#include "data/manifest.h"
#include "data/video_reader.h"

namespace mg {

enum class OnBad { stop, skip };

struct BadClip {
  std::int64_t line;  // of the manifest
  std::string name, reason;
};

struct CacheBuild {
  std::filesystem::path manifest;  // where the clips come from, for messages
  std::vector<Clip> clips;
  DecodeSpec spec;
  OnBad on_bad = OnBad::stop;
  int threads = 1;
  // Called on the caller's thread after each clip. What it throws ends the building; nothing is left behind.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  // Called with a line for the user: what is made anew and why, who is waited for.
  std::function<void(const std::string&)> report;
  // Asked from several threads at once: the number of a signal that says to stop, or 0. What is decoded by
  // then is kept as a cache of so many clips, and the next call goes on from there:
  // Error(ExitCode::interrupted or terminated) says so.
  std::function<int()> stop;
};

// The clips of a cache, in the order they were asked for.
class FrameCache : public FrameSource {
 public:
  // Builds path, or takes what is there when it holds every clip of build, made from the same source files by
  // the same specification. A cache of ours that lacks clips or whose sources changed is built anew, keeping
  // what is still right; one that is cut, damaged or of an earlier version is built anew. A cache with
  // another specification, and a file that is not known to be a cache, are Error(ExitCode::data) and are left
  // alone. What cannot be written is Error(ExitCode::failure), and leaves what was there. Written aside and
  // renamed, under a lock (path + ".lock"): a second builder waits for the first. With OnBad::stop the first
  // bad clip is an Error(ExitCode::data); with skip it is left out, and bad_clips() names it.
  static FrameCache open(const std::filesystem::path& path, const CacheBuild& build);
  ~FrameCache() override;
  FrameCache(FrameCache&&) noexcept;

  std::int64_t clips() const override;
  // Throws Error(ExitCode::data) for a clip that was skipped as bad, and when the file is damaged.
  Frames read(std::int64_t clip) const override;
  Frames read_frames(std::int64_t clip, const std::vector<std::int64_t>& numbers) const override;
  std::int64_t frame_count(std::int64_t clip) const override;  // 0: bad
  bool uniform() const override { return true; }               // the decode specification's size
  const std::vector<BadClip>& bad_clips() const;
  const std::string& source_hash(std::int64_t clip) const;  // of its file's contents
  bool built() const;                                       // false: all of it was there already

 private:
  struct State;
  explicit FrameCache(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace mg
