// A manifest with its frames: what training and evaluation read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/frame_cache.h"
#include "data/manifest.h"
#include "train/config.h"

namespace mg {

struct DataOptions {
  std::filesystem::path manifest;
  std::filesystem::path cache;  // empty: beside the manifest, named after it and the frames' size
  OnBad on_bad = OnBad::stop;
};

// Lines of what was read otherwise than written, or left out, to stderr.
void print_notes(const std::vector<std::string>& notes);

// problems.json: an array of {"line", "clip", "reason"}.
void write_problems(const std::filesystem::path& file, const std::vector<BadClip>& problems);

class GestureData {
 public:
  // Reads the manifest, and builds the cache where it is not there yet.
  GestureData(const DataOptions& options, const Config& config);

  const Manifest& manifest() const { return manifest_; }
  const FrameCache& frames() const { return *frames_; }
  // Clips that could not be decoded have no frames: training leaves them out, evaluation counts them as
  // wrong.
  bool readable(std::int64_t clip) const { return frames_->frame_count(clip) > 0; }
  // The numbers of a split's clips that can be read.
  std::vector<std::int64_t> readable_of_split(const std::string& split) const;

 private:
  void stop_at_bad_clips() const;  // an Error(ExitCode::data) that lists them all

  Manifest manifest_;
  std::unique_ptr<FrameCache> frames_;
};

}  // namespace mg
