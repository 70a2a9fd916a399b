// Resizing of RGB frames in two separable passes, with precomputed taps. The taps' weights are whole numbers
// over a common denominator and every sum of them is exact in its type, so the result is the filter's exact
// value rounded once, the same on every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "data/video_reader.h"

namespace mg {

// Along one axis: out[i] = sum over t of weights[offset[i] + t] * in[first[i] + t], over denominator.
struct ResizeTaps {
  std::vector<std::int32_t> first, count, offset;  // for each output
  std::vector<float> weights;                      // whole numbers
  double denominator = 1;
};
ResizeTaps resize_taps(int in, int out, ResizeFilter filter);

// A window of an image with rows of `stride` bytes, 3 bytes a pixel.
struct RgbWindow {
  const std::uint8_t* rgb;
  int height, width;
  std::int64_t stride;
};

class FrameResizer {
 public:
  // Sides of 1 to 8192.
  FrameResizer(int in_height, int in_width, int out_height, int out_width, ResizeFilter filter);

  // Each value rounded to the nearest integer, ties to even; out is dense.
  void resize(const RgbWindow& in, std::uint8_t* out);
  // The same before rounding, as fp32.
  void resize(const RgbWindow& in, float* out);

 private:
  void check(const RgbWindow& in) const;
  void blend_rows(const RgbWindow& in, int y);
  template <class Store>
  void blend_columns(Store store) const;

  int in_height_, in_width_, out_height_, out_width_;
  ResizeTaps rows_, columns_;
  double denominator_;
  std::vector<float> row_;      // one row of the output's height and the input's width
  std::vector<double> values_;  // one row of the output
};

}  // namespace mg
