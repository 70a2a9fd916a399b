#if defined(MG_CUDA)  // the processor makes its inputs in data/clip_transform.h
#include "kernels/frame_input.h"

#include "hashed.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

struct FrameCase {
  std::string name;
  std::int64_t frames, height, width, stored_height, stored_width;
  std::vector<FrameView> views;  // one a sample
  bool pitched = true;
};

std::vector<FrameCase> frame_cases() {
  return {
      {"one pixel", 1, 1, 1, 1, 1, {{0, 0, 1, 1, 0, 1, 1}}},
      {"whole frames, one mirrored", 2, 9, 33, 9, 33, {{0, 0, 9, 33, 0, 1, 1}, {0, 0, 9, 33, 1, 1, 1}}},
      {"crops in the corners",
       3,
       7,
       31,
       12,
       40,
       {{0, 0, 7, 31, 0, 1, 1}, {5, 9, 7, 31, 1, 1, 1}, {2, 3, 7, 31, 0, 1.3f, 1}}},
      {"larger, smaller, one way each, from one pixel",
       2,
       8,
       32,
       30,
       70,
       {{1, 2, 29, 67, 0, 1, 1},
        {3, 1, 3, 5, 1, 1, 1},
        {0, 0, 16, 32, 0, 0.4f, 1},
        {4, 4, 8, 64, 1, 1, 1},
        {29, 69, 1, 1, 0, 1, 1}}},
      {"contrast, one way and the other",
       2,
       5,
       34,
       11,
       60,
       {{0, 0, 5, 34, 0, 1, 1.4f}, {0, 0, 11, 60, 1, 1.6f, 0.6f}, {1, 1, 5, 34, 0, 1, 1}}},
      {"rows of a network's input, dense",
       2,
       6,
       112,
       13,
       128,
       {{4, 7, 6, 112, 1, 1.1f, 0.9f}, {0, 0, 13, 128, 0, 1, 1}},
       false},
  };
}

constexpr float kScale[3] = {0.017f, 0.018f, 0.0175f}, kShift[3] = {-1.9f, -1.8f, -1.7f};

template <class Real>
Real kept(Real value) {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

// What kernels/frame_input.h says, number by number.
template <class Real>
std::vector<Real> seen(const FrameCase& t, const std::vector<std::uint8_t>& stored) {
  std::vector<Real> out;
  for (std::size_t n = 0; n < t.views.size(); ++n) {
    const FrameView& v = t.views[n];
    std::vector<Real> sample;
    for (std::int64_t f = 0; f < t.frames; ++f) {
      auto pixel = [&](std::int64_t y, std::int64_t x, std::int64_t c) {  // of the crop, clamped to it
        y = v.top + std::clamp<std::int64_t>(y, 0, v.height - 1);
        x = v.left + std::clamp<std::int64_t>(x, 0, v.width - 1);
        const std::int64_t frame = static_cast<std::int64_t>(n) * t.frames + f;
        return static_cast<Real>(
            stored[static_cast<std::size_t>(((frame * t.stored_height + y) * t.stored_width + x) * 3 + c)]);
      };
      for (std::int64_t y = 0; y < t.height; ++y) {
        for (std::int64_t x = 0; x < t.width; ++x) {
          const Real half = static_cast<Real>(0.5);
          const auto from = static_cast<Real>(v.flip != 0 ? t.width - 1 - x : x);
          const Real py =
              (static_cast<Real>(y) + half) * static_cast<Real>(v.height) / static_cast<Real>(t.height) -
              half;
          const Real px = (from + half) * static_cast<Real>(v.width) / static_cast<Real>(t.width) - half;
          const Real y0 = std::floor(py), x0 = std::floor(px), b = py - y0, a = px - x0;
          const auto iy = static_cast<std::int64_t>(y0), ix = static_cast<std::int64_t>(x0);
          for (std::int64_t c = 0; c < 3; ++c) {
            const Real upper = (1 - a) * pixel(iy, ix, c) + a * pixel(iy, ix + 1, c);
            const Real lower = (1 - a) * pixel(iy + 1, ix, c) + a * pixel(iy + 1, ix + 1, c);
            sample.push_back(kept(((1 - b) * upper + b * lower) * static_cast<Real>(v.brightness)));
          }
        }
      }
    }
    Real mean = 0;
    for (const Real value : sample) mean += value / static_cast<Real>(sample.size());
    const auto contrast = static_cast<Real>(v.contrast);
    for (std::size_t i = 0; i < sample.size(); ++i) {
      const Real value = kept(sample[i] * contrast + (1 - contrast) * mean);
      out.push_back(value * static_cast<Real>(kScale[i % 3]) + static_cast<Real>(kShift[i % 3]));
    }
  }
  return out;
}

}  // namespace

TEST_CASE("frames to a network's input against a naive double reference") {
  if (!on_cuda()) return;
  CudaStream stream;
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const FrameCase& t : frame_cases()) {
      CAPTURE(t.name);
      CAPTURE(size_of(type));
      const auto samples = static_cast<std::int64_t>(t.views.size());
      const Shape shape{samples, t.frames, t.stored_height, t.stored_width, 3};
      const Hashed hashed(t.name);
      std::vector<std::uint8_t> stored;
      for (std::int64_t i = 0; i < shape.count(); ++i)
        stored.push_back(static_cast<std::uint8_t>(hashed.integer(i, 256)));
      Held<std::uint8_t> frames(stored);
      Held<FrameView> views(t.views);
      Buffer y({samples, t.frames, t.height, t.width, 3}, t.pitched ? 16 : 3, type);
      y.poison(true);
      FrameInput args{
          y.view(stream), ConstView(frames.on(stream), DType::u8, shape, 3), views.on(stream), false, {}, {}};
      for (const FrameView& view : t.views) args.any_contrast = args.any_contrast || view.contrast != 1;
      std::copy_n(kScale, 3, args.scale);
      std::copy_n(kShift, 3, args.shift);
      frame_input(args, stream);
      check_close("y", y, seen<double>(t, stored), seen<float>(t, stored));
    }
  }
}
#endif
