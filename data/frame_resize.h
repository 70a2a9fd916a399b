// Resizing of RGB frames in two separable passes, with precomputed taps. The taps' weights are whole numbers
// over a common denominator and, of 8-bit values, every sum of them is exact in its type, so the result is
// the filter's exact value rounded once, the same on every machine.
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

// A window of an image with rows of `stride` values, 3 values a pixel.
template <class Elem>
struct RgbWindow {
  const Elem* rgb;
  int height, width;
  std::int64_t stride;
};
template <class Elem>
RgbWindow(const Elem*, int, int, std::int64_t) -> RgbWindow<Elem>;

class FrameResizer {
 public:
  // Sides of 1 to 8192; the filters are bilinear and area.
  FrameResizer(int in_height, int in_width, int out_height, int out_width, ResizeFilter filter);

  // Each value rounded to the nearest integer, ties to even; out is dense.
  void resize(const RgbWindow<std::uint8_t>& in, std::uint8_t* out);
  // The same before rounding, as fp32.
  void resize(const RgbWindow<std::uint8_t>& in, float* out) { resize_unrounded(in, out); }
  // Of values that are not whole, in fp32 arithmetic.
  void resize(const RgbWindow<float>& in, float* out) { resize_unrounded(in, out); }

 private:
  template <class Elem>
  void check(const RgbWindow<Elem>& in) const;
  template <class Elem>
  void resize_unrounded(const RgbWindow<Elem>& in, float* out);
  template <class Elem>
  void blend_rows(const RgbWindow<Elem>& in, int y);
  template <class Store>
  void blend_columns(Store store) const;

  int in_height_, in_width_, out_height_, out_width_;
  ResizeTaps rows_, columns_;
  double denominator_;
  std::vector<float> row_;      // one row of the output's height and the input's width
  std::vector<double> values_;  // one row of the output
};

}  // namespace mg
