// H.264 (or MPEG-4 part 2 where FFmpeg has no x264) in an mp4 file: one thread, no times or versions inside,
// so that equal pictures are equal files.
#pragma once

#include <filesystem>
#include <memory>

#include "data/synth/raster.h"

namespace mg::synth {

class VideoWriter {
 public:
  // Width and height are even. Throws Error(ExitCode::failure) with the path and FFmpeg's reason.
  VideoWriter(const std::filesystem::path& path, int width, int height, int fps);
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // Values are clamped to [0, 1].
  void add(const Canvas& canvas);
  // Nothing is a video before this.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mg::synth
