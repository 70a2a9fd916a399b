#include "data/clip_transform.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/frame_resize.h"
#include "engine/error.h"
#include "hashed.h"
#include "kernels/philox.h"
#include "models/proof.h"

namespace mg {

namespace {

// As preprocessing.py computes them.
Frames hashed_frames(int height, int width) {
  Frames frames{2, height, width, 25, {}};
  const test::Hashed hashed(fmt::format("frames {}x{}", height, width));
  frames.rgb.resize(2 * frames.frame_bytes());
  for (std::size_t i = 0; i < frames.rgb.size(); ++i) {
    frames.rgb[i] = static_cast<std::uint8_t>((hashed(static_cast<std::int64_t>(i)) + 1) * 128);
  }
  return frames;
}

template <class Elem>
std::vector<Elem> resized_values(const Frames& frames, int height, int width) {
  FrameResizer resizer(frames.height, frames.width, height, width, ResizeFilter::bilinear);
  const std::size_t frame = std::size_t{3} * static_cast<std::size_t>(height * width);
  std::vector<Elem> out(frame * static_cast<std::size_t>(frames.count));
  for (std::int64_t t = 0; t < frames.count; ++t) {
    resizer.resize(RgbWindow{frames.frame(t), frames.height, frames.width, std::int64_t{frames.width} * 3},
                   out.data() + static_cast<std::size_t>(t) * frame);
  }
  return out;
}

InputSpec network_input() {
  InputSpec input;
  input.frames = 2;
  return input;
}

std::vector<float> transformed(const Frames& frames, const InputSpec& input) {
  std::vector<float> out;
  ClipTransform(input).apply(frames, vary(input, frames.height, frames.width), out);
  return out;
}

const nlohmann::json& goldens() {
  static const nlohmann::json golden = [] {
    std::ifstream stream(MG_GOLDENS_DIR "/preprocessing.json");
    REQUIRE(stream);
    return nlohmann::json::parse(stream);
  }();
  return golden;
}

struct StoredSize {
  int height, width;
};
const std::vector<StoredSize> kSizes{{240, 320}, {224, 224}, {135, 241}, {96, 120}, {256, 342}, {720, 1280}};

}  // namespace

TEST_CASE("transform: 8-bit frames become what torchvision's transform makes of them") {
  const InputSpec input = network_input();
  test::Proof proof("preprocessing, 8-bit frames, share of the range");
  std::int64_t values = 0, beside_ties = 0;
  for (const StoredSize size : kSizes) {
    const std::string name = fmt::format("{}x{} u8", size.height, size.width);
    CAPTURE(name);
    const nlohmann::json& golden = goldens()["cases"].at(name);
    const Frames source = hashed_frames(size.height, size.width);
    Frames cached{2, 128, 171, 25, resized_values<std::uint8_t>(source, 128, 171)};
    const std::vector<float> exact = resized_values<float>(source, 128, 171);
    const std::vector<float> got = transformed(cached, input);
    REQUIRE(got.size() == std::size_t{2} * 112 * 112 * 3);
    double worst = 0;
    std::size_t i = 0;
    for (const auto& stored : golden["values"]) {
      const std::size_t c = i % 3, x = i / 3 % 112, y = i / 336 % 112, t = i / 37632;
      const double step = 1 / (255.0 * input.stddev[c]), range = 255 * step;
      double off = std::fabs(got[i] - stored.get<double>());
      if (off > 0.5 * step) {
        // torchvision resizes in fp32: near a tie it may round to the other side.
        const double before = exact[((t * 128 + y + 8) * 171 + x + 30) * 3 + c];
        CHECK(std::fabs(before - std::floor(before) - 0.5) < 0.006);
        off = std::fabs(off - step);
        ++beside_ties;
      }
      worst = std::max(worst, off / range);
      ++values;
      i += golden["stride"].get<std::size_t>();
    }
    CHECK(i >= got.size());
    proof.check(name, worst, 1e-5);
  }
  MESSAGE(fmt::format("proof: of these, {} of {} values are rounded to the other side of a tie", beside_ties,
                      values));
  CHECK(beside_ties < values / 500);
}

TEST_CASE("transform: the authors' path resizes in fp32, and scales nothing") {
  InputSpec input = network_input();
  input.resize_height = 128;
  input.resize_width = 171;
  input.divisor = 1;
  test::Proof proof("preprocessing, the authors' path, share of the range");
  for (const StoredSize size : kSizes) {
    const std::string name = fmt::format("{}x{} float", size.height, size.width);
    if (!goldens()["cases"].contains(name)) continue;
    const nlohmann::json& golden = goldens()["cases"].at(name);
    const std::vector<float> got = transformed(hashed_frames(size.height, size.width), input);
    double worst = 0;
    std::size_t i = 0;
    for (const auto& stored : golden["values"]) {
      const double range = 255 / static_cast<double>(input.stddev[i % 3]);
      worst = std::max(worst, std::fabs(got[i] - stored.get<double>()) / range);
      i += golden["stride"].get<std::size_t>();
    }
    CHECK(i >= got.size());
    proof.check(name, worst, 1e-5);
  }
}

TEST_CASE("transform: half a pixel of the centre crop goes where Python's round sends it") {
  InputSpec input = network_input();
  CHECK(vary(input, 128, 171).crop == Crop{8, 30, 112, 112});  // 29.5
  CHECK(vary(input, 113, 115).crop == Crop{0, 2, 112, 112});   // 0.5 and 1.5
  CHECK(vary(input, 117, 112).crop == Crop{2, 0, 112, 112});   // 2.5
  // Without a random place, training crops there too; of frames that are resized first, within those.
  const RandomKey key{3};
  CHECK(vary(input, 128, 171, {}, key, 5).crop == Crop{8, 30, 112, 112});
  input.resize_height = 128;
  input.resize_width = 171;
  CHECK(vary(input, 224, 224).crop == Crop{8, 30, 112, 112});
  Augmentation scaled;
  scaled.crop_scale = 0.5f;
  for (std::uint32_t sample = 0; sample < 50; ++sample) {
    const Crop crop = vary(input, 224, 224, scaled, key, sample).crop;
    CHECK(std::abs(2 * crop.top + crop.height - 128) <= 1);
    CHECK(std::abs(2 * crop.left + crop.width - 171) <= 1);
    CHECK(crop.height <= 128);
    scaled.random_crop = sample % 2 == 0;
    const Crop anywhere = vary(input, 224, 224, scaled, key, sample).crop;
    CHECK(anywhere.top + anywhere.height <= 128);
    CHECK(anywhere.left + anywhere.width <= 171);
    scaled.random_crop = false;
  }
}

TEST_CASE("transform: a resized frame is cropped, scaled and mirrored as a stored one of the same size") {
  InputSpec input = network_input();
  input.height = 40;
  input.width = 30;
  input.resize_height = 24;
  input.resize_width = 45;
  const Frames source = hashed_frames(96, 120);
  Variation variation = vary(input, source.height, source.width);
  CHECK(variation.crop == Crop{0, 14, 24, 18});  // 13.5
  variation.flip = true;
  std::vector<float> got;
  ClipTransform transform(input);
  transform.apply(source, variation, got);
  const std::vector<float> frame = resized_values<float>(source, 24, 45);
  FrameResizer resizer(24, 18, 40, 30, ResizeFilter::bilinear);
  std::vector<float> expected(std::size_t{40} * 30 * 3);
  resizer.resize(RgbWindow{frame.data() + std::size_t{14} * 3, 24, 18, 45 * 3}, expected.data());
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::size_t c = i % 3, x = i / 3 % 30, y = i / 90;
    const double value = (expected[i] / 255 - input.mean[c]) / input.stddev[c];
    worst = std::max(worst, std::fabs(got[(y * 30 + 29 - x) * 3 + c] - value));
  }
  CHECK(worst < 2e-6);
  // Another size of stored frames after it.
  std::vector<float> second, fresh;
  transform.apply(hashed_frames(60, 50), variation, second);
  ClipTransform(input).apply(hashed_frames(60, 50), variation, fresh);
  CHECK((second == fresh));
}

}  // namespace mg
