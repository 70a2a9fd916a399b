#include "data/frame_resize.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "kernels/philox.h"

namespace mg {

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes noise(int height, int width, std::uint32_t site) {
  Bytes image(static_cast<std::size_t>(height * width * 3));
  for (std::size_t i = 0; i < image.size(); ++i) {
    image[i] = static_cast<std::uint8_t>(RandomKey{5, 0, site}.draw(0, static_cast<std::uint32_t>(i)).v[0]);
  }
  return image;
}

// PyTorch's interpolate(mode="bilinear", align_corners=False), as its documentation defines it.
double naive_bilinear(const Bytes& in, int h, int w, int out_h, int out_w, int y, int x, int c) {
  auto place = [](int i, int size, int out) {
    return std::max((i + 0.5) * size / static_cast<double>(out) - 0.5, 0.0);
  };
  const double py = place(y, h, out_h), px = place(x, w, out_w);
  const int y0 = static_cast<int>(py), x0 = static_cast<int>(px);
  const int y1 = std::min(y0 + 1, h - 1), x1 = std::min(x0 + 1, w - 1);
  const double fy = py - y0, fx = px - x0;
  auto at = [&](int r, int q) {
    return static_cast<double>(in[static_cast<std::size_t>((r * w + q) * 3 + c)]);
  };
  return (1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x1)) +
         fy * ((1 - fx) * at(y1, x0) + fx * at(y1, x1));
}

// The mean over the rectangle that an output pixel covers, by the overlap with each input pixel.
double naive_area(const Bytes& in, int h, int w, int out_h, int out_w, int y, int x, int c) {
  auto overlap = [](int i, int size, int out, int j) {
    const double begin = static_cast<double>(i) * size / out, end = static_cast<double>(i + 1) * size / out;
    return std::max(0.0, std::min(end, j + 1.0) - std::max(begin, static_cast<double>(j)));
  };
  double sum = 0, weight = 0;
  for (int r = 0; r < h; ++r) {
    for (int q = 0; q < w; ++q) {
      const double share = overlap(y, h, out_h, r) * overlap(x, w, out_w, q);
      sum += share * in[static_cast<std::size_t>((r * w + q) * 3 + c)];
      weight += share;
    }
  }
  return sum / weight;
}

struct ResizeCase {
  int height, width, out_height, out_width;
};

}  // namespace

TEST_CASE("resize: both filters are their naive definitions, rounded") {
  const std::vector<ResizeCase> cases{
      {256, 256, 128, 171}, {48, 64, 48, 64}, {45, 67, 12, 17}, {17, 13, 40, 31}, {1, 1, 3, 5},
      {2, 3, 1, 1},         {1, 9, 4, 2},     {97, 1, 5, 1},    {64, 96, 16, 24}, {30, 20, 10, 4}};
  for (const ResizeCase& k : cases) {
    const Bytes in = noise(k.height, k.width, static_cast<std::uint32_t>(k.height));
    for (const ResizeFilter filter : {ResizeFilter::bilinear, ResizeFilter::area}) {
      CAPTURE(k.height);
      CAPTURE(k.width);
      CAPTURE(k.out_height);
      CAPTURE(static_cast<int>(filter));
      FrameResizer resizer(k.height, k.width, k.out_height, k.out_width, filter);
      const std::size_t count = static_cast<std::size_t>(k.out_height * k.out_width * 3);
      Bytes out(count);
      std::vector<float> exact(count);
      const RgbWindow window{in.data(), k.height, k.width, std::int64_t{k.width} * 3};
      resizer.resize(window, out.data());
      resizer.resize(window, exact.data());
      double worst = 0, worst_exact = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const int c = static_cast<int>(i % 3), x = static_cast<int>(i / 3) % k.out_width;
        const int y = static_cast<int>(i / 3) / k.out_width;
        const double value = filter == ResizeFilter::bilinear
                                 ? naive_bilinear(in, k.height, k.width, k.out_height, k.out_width, y, x, c)
                                 : naive_area(in, k.height, k.width, k.out_height, k.out_width, y, x, c);
        // Half, and what the reference itself is off by at a tie.
        worst = std::max(worst, std::fabs(out[i] - value) - 0.5);
        worst_exact = std::max(worst_exact, std::fabs(exact[i] - value));
      }
      CHECK(worst < 1e-9);
      CHECK(worst_exact < 2e-5);
    }
  }
}

TEST_CASE("resize: ties go to the even value") {
  // Means of two and of four: 0.5, 1.5, 2.5 and 254.5; then 0.5 by area.
  const Bytes in{0, 1, 2, 1, 2, 3, 254, 0, 0, 255, 0, 0};
  Bytes out(6);
  FrameResizer(1, 4, 1, 2, ResizeFilter::bilinear).resize(RgbWindow{in.data(), 1, 4, 12}, out.data());
  CHECK(out == Bytes{0, 2, 2, 254, 0, 0});
  FrameResizer(1, 4, 1, 2, ResizeFilter::area).resize(RgbWindow{in.data(), 1, 4, 12}, out.data());
  CHECK(out == Bytes{0, 2, 2, 254, 0, 0});
}

TEST_CASE("resize: a window of a larger image sees nothing outside of it") {
  Bytes image = noise(20, 30, 1);
  const std::size_t stride = 90;
  Bytes window;
  for (std::size_t y = 5; y < 15; ++y) {
    window.insert(window.end(), image.begin() + static_cast<std::ptrdiff_t>(y * stride + 21),
                  image.begin() + static_cast<std::ptrdiff_t>(y * stride + 21 + 36));
  }
  FrameResizer resizer(10, 12, 7, 9, ResizeFilter::bilinear);
  Bytes a(7 * 9 * 3), b(7 * 9 * 3);
  resizer.resize(RgbWindow{window.data(), 10, 12, 36}, a.data());
  resizer.resize(RgbWindow{image.data() + 5 * stride + 21, 10, 12, static_cast<std::int64_t>(stride)},
                 b.data());
  CHECK(a == b);
}

TEST_CASE("resize: the extremes of an 8192-pixel side stay exact") {
  const Bytes white(static_cast<std::size_t>(8192) * 3, 255);
  for (const ResizeFilter filter : {ResizeFilter::bilinear, ResizeFilter::area}) {
    for (const int out : {1, 3, 8191}) {
      Bytes row(static_cast<std::size_t>(out) * 3);
      FrameResizer(1, 8192, 1, out, filter).resize(RgbWindow{white.data(), 1, 8192, 8192 * 3}, row.data());
      CHECK(std::all_of(row.begin(), row.end(), [](std::uint8_t v) { return v == 255; }));
      FrameResizer(8192, 1, out, 1, filter).resize(RgbWindow{white.data(), 8192, 1, 3}, row.data());
      CHECK(std::all_of(row.begin(), row.end(), [](std::uint8_t v) { return v == 255; }));
    }
  }
  CHECK_THROWS_AS(FrameResizer(8193, 1, 1, 1, ResizeFilter::area), Error);
  CHECK_THROWS_AS(FrameResizer(1, 1, 0, 1, ResizeFilter::area), Error);
}

}  // namespace mg
