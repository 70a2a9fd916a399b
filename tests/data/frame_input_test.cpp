// The data pipeline's two ways to a network's input give the same numbers: data/clip_transform.h on the
// processor and kernels/frame_input.h on the device.
#include "kernels/frame_input.h"

#include "data/clip_transform.h"
#include "hashed.h"
#include "reference.h"

#if defined(MG_CUDA)

using namespace mg;
using namespace mg::test;

namespace {

Frames hashed_clip(int height, int width, std::int64_t number) {
  Frames frames{2, height, width, 25, {}};
  const Hashed hashed("clip " + std::to_string(number));
  frames.rgb.resize(2 * frames.frame_bytes());
  for (std::size_t i = 0; i < frames.rgb.size(); ++i) {
    frames.rgb[i] = static_cast<std::uint8_t>(hashed.integer(static_cast<std::int64_t>(i), 256));
  }
  return frames;
}

}  // namespace

TEST_CASE("the device's frame input is the processor's, to the bit where nothing is averaged") {
  if (!on_cuda()) return;
  CudaStream stream;
  constexpr int kHeight = 45, kWidth = 61;
  InputSpec input;
  input.frames = 2;
  input.height = 14;
  input.width = 34;
  // Unchanged, mirrored and brighter, enlarged, shrunk in both directions and in one, by contrast.
  const std::vector<Variation> variations = {
      {{3, 5, 14, 34}, false, 1, 1},      {{31, 27, 14, 34}, true, 1.3f, 1}, {{0, 0, 9, 21}, false, 0.7f, 1},
      {{2, 1, 41, 59}, true, 1, 1},       {{7, 9, 14, 50}, false, 1.1f, 1},  {{44, 60, 1, 1}, false, 1, 1},
      {{1, 2, 33, 47}, true, 0.9f, 1.5f}, {{3, 5, 14, 34}, false, 1, 0.6f},
  };
  std::vector<std::uint8_t> stored;
  std::vector<FrameView> views;
  std::vector<std::vector<float>> expected;
  for (const Variation& v : variations) {
    const Frames clip = hashed_clip(kHeight, kWidth, static_cast<std::int64_t>(views.size()));
    stored.insert(stored.end(), clip.rgb.begin(), clip.rgb.end());
    views.push_back(
        {v.crop.top, v.crop.left, v.crop.height, v.crop.width, v.flip ? 1 : 0, v.brightness, v.contrast});
    ClipTransform(input).apply(clip, v, expected.emplace_back());
  }
  const auto samples = static_cast<std::int64_t>(views.size());
  Held<std::uint8_t> frames(stored);
  Held<FrameView> views_held(views);
  Buffer y({samples, 2, input.height, input.width, 3}, 16);
  y.poison(true);
  FrameInput args{y.view(stream),
                  ConstView(frames.on(stream), DType::u8, {samples, 2, kHeight, kWidth, 3}, 3),
                  views_held.on(stream),
                  true,
                  {},
                  {}};
  for (std::size_t c = 0; c < 3; ++c) {
    args.scale[c] = 1 / (input.divisor * input.stddev[c]);
    args.shift[c] = -input.mean[c] / input.stddev[c];
  }
  frame_input(args, stream);
  y.check_guards();
  const std::int64_t count = y.count() / samples;
  for (std::int64_t n = 0; n < samples; ++n) {
    CAPTURE(n);
    const std::vector<float>& sample = expected[static_cast<std::size_t>(n)];
    // The sample's mean, of numbers of up to 255, is added up in another order: an ulp of 255, scaled.
    const float allowed =
        variations[static_cast<std::size_t>(n)].contrast == 1 ? 0.0f : 2e-5f * args.scale[2];
    float worst = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      worst = std::max(worst, std::abs(y[n * count + i] - sample[static_cast<std::size_t>(i)]));
    }
    CHECK(worst <= allowed);
  }
}

#endif
