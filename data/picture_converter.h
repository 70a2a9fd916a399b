// From a decoder's picture to upright RGB, as ffmpeg's program does it: turned in the picture's own pixel
// format, then converted and scaled by swscale at once. FFmpeg's own headers stay in the .cpp files.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/video_reader.h"

struct AVFrame;

namespace mg {

// Mirrored, then turned clockwise.
struct Orientation {
  bool flip_left_right = false, flip_up_down = false;
  int rotation = 0;  // degrees clockwise: 0, 90 or 270; half a turn is both flips
  bool turned() const { return rotation != 0; }
  bool upright() const { return !flip_left_right && !flip_up_down && !turned(); }
};
// From a display matrix of nine fixed-point numbers, or nullptr. Turns that are no multiple of 90 degrees are
// left alone.
Orientation orientation_of(const std::int32_t* display_matrix);

class PictureConverter {
 public:
  PictureConverter();
  ~PictureConverter();
  PictureConverter(PictureConverter&&) noexcept;

  // rgb: [height][width][3] of the upright picture, scaled to this size. Returns an empty text, or what went
  // wrong.
  std::string convert(const AVFrame& picture, const Orientation& orientation, PictureSize scaled,
                      std::vector<std::uint8_t>& rgb);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mg
