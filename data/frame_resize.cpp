#include "data/frame_resize.h"

#include <algorithm>
#include <bit>

#include "engine/error.h"

namespace mg {

namespace {

constexpr int kMaxSide = 8192;  // 255 * 2 * kMaxSide < 2^24: vertical sums are exact in fp32

// Output i lies at ((2i + 1) in - out) / (2 out) between the inputs, clamped to their ends.
void add_bilinear_taps(ResizeTaps& taps, int in, int out, int i) {
  const std::int64_t denominator = 2 * std::int64_t{out};
  const std::int64_t last = denominator * (in - 1);
  const std::int64_t place = std::clamp<std::int64_t>((2 * std::int64_t{i} + 1) * in - out, 0, last);
  // The last pair is used for the end too, so that every output has two taps where the input allows it.
  const std::int64_t first = std::min<std::int64_t>(place / denominator, std::max(in - 2, 0));
  const auto second_weight = static_cast<float>(place - first * denominator);
  taps.first.push_back(static_cast<std::int32_t>(first));
  taps.weights.push_back(static_cast<float>(denominator) - second_weight);
  if (in > 1) taps.weights.push_back(second_weight);
}

// Output i covers [i in, (i + 1) in) of a line on which input j covers [j out, (j + 1) out).
void add_area_taps(ResizeTaps& taps, int in, int out, int i) {
  const std::int64_t begin = std::int64_t{i} * in, end = begin + in;
  const std::int64_t first = begin / out;
  taps.first.push_back(static_cast<std::int32_t>(first));
  for (std::int64_t j = first; j * out < end; ++j) {
    taps.weights.push_back(static_cast<float>(std::min(end, (j + 1) * out) - std::max(begin, j * out)));
  }
}

}  // namespace

ResizeTaps resize_taps(int in, int out, ResizeFilter filter) {
  ResizeTaps taps;
  taps.denominator = filter == ResizeFilter::bilinear ? 2.0 * out : in;
  for (int i = 0; i < out; ++i) {
    taps.offset.push_back(static_cast<std::int32_t>(taps.weights.size()));
    filter == ResizeFilter::bilinear ? add_bilinear_taps(taps, in, out, i) : add_area_taps(taps, in, out, i);
    taps.count.push_back(static_cast<std::int32_t>(taps.weights.size()) - taps.offset.back());
  }
  return taps;
}

FrameResizer::FrameResizer(int in_height, int in_width, int out_height, int out_width, ResizeFilter filter)
    : in_height_(in_height), in_width_(in_width), out_height_(out_height), out_width_(out_width) {
  for (const int side : {in_height, in_width, out_height, out_width}) {
    expect(side >= 1 && side <= kMaxSide, "resize: expected sides of 1 to {}, got {}x{} to {}x{}", kMaxSide,
           in_height, in_width, out_height, out_width);
  }
  expect(filter != ResizeFilter::ffmpeg, "resize: swscale's filter is no filter of FrameResizer");
  rows_ = resize_taps(in_height, out_height, filter);
  columns_ = resize_taps(in_width, out_width, filter);
  denominator_ = rows_.denominator * columns_.denominator;
  row_.resize(static_cast<std::size_t>(in_width) * 3);
  values_.resize(static_cast<std::size_t>(out_width) * 3);
}

// row_ = the weighted sum of the input rows that output row y is made of.
template <class Elem>
void FrameResizer::blend_rows(const RgbWindow<Elem>& in, int y) {
  const auto i = static_cast<std::size_t>(y);
  const int n = in_width_ * 3;
  const Elem* __restrict source = in.rgb + rows_.first[i] * in.stride;
  const float* weights = rows_.weights.data() + rows_.offset[i];
  float* __restrict row = row_.data();
  if (rows_.count[i] == 2) {
    const Elem* __restrict next = source + in.stride;
    const float a = weights[0], b = weights[1];
    for (int x = 0; x < n; ++x) row[x] = a * source[x] + b * next[x];
    return;
  }
  for (int x = 0; x < n; ++x) row[x] = weights[0] * source[x];
  for (int t = 1; t < rows_.count[i]; ++t) {
    source += in.stride;
    const float weight = weights[t];
    for (int x = 0; x < n; ++x) row[x] += weight * source[x];
  }
}

// store(x, the exact weighted sum) for each pixel of the output row.
template <class Store>
void FrameResizer::blend_columns(Store store) const {
  for (int x = 0; x < out_width_; ++x) {
    const auto i = static_cast<std::size_t>(x);
    const float* source = row_.data() + std::ptrdiff_t{columns_.first[i]} * 3;
    const float* weights = columns_.weights.data() + columns_.offset[i];
    double r = 0, g = 0, b = 0;
    for (int t = 0; t < columns_.count[i]; ++t, source += 3) {
      const double weight = weights[t];
      r += weight * source[0];
      g += weight * source[1];
      b += weight * source[2];
    }
    store(3 * x, r, g, b);
  }
}

template <class Elem>
void FrameResizer::check(const RgbWindow<Elem>& in) const {
  expect(in.height == in_height_ && in.width == in_width_, "resize: expected a frame of {}x{}, got {}x{}",
         in_height_, in_width_, in.height, in.width);
}

void FrameResizer::resize(const RgbWindow<std::uint8_t>& in, std::uint8_t* out) {
  check(in);
  const int n = out_width_ * 3;
  double* __restrict values = values_.data();
  for (int y = 0; y < out_height_; ++y, out += n) {
    blend_rows(in, y);
    blend_columns([&](int at, double r, double g, double b) {
      values[at] = r;
      values[at + 1] = g;
      values[at + 2] = b;
    });
    // Adding 2^52 makes the processor round to a whole number, ties to even; its low byte is the value.
    for (int x = 0; x < n; ++x) {
      out[x] = static_cast<std::uint8_t>(std::bit_cast<std::uint64_t>(values[x] / denominator_ + 0x1p52));
    }
  }
}

template <class Elem>
void FrameResizer::resize_unrounded(const RgbWindow<Elem>& in, float* out) {
  check(in);
  const double scale = 1 / denominator_;
  for (int y = 0; y < out_height_; ++y, out += out_width_ * 3) {
    blend_rows(in, y);
    blend_columns([&](int at, double r, double g, double b) {
      out[at] = static_cast<float>(r * scale);
      out[at + 1] = static_cast<float>(g * scale);
      out[at + 2] = static_cast<float>(b * scale);
    });
  }
}

template void FrameResizer::resize_unrounded(const RgbWindow<std::uint8_t>&, float*);
template void FrameResizer::resize_unrounded(const RgbWindow<float>&, float*);

}  // namespace mg
