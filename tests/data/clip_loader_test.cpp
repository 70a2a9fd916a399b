#include "data/clip_loader.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <set>

#include "data/clip_transform.h"
#include "data/frame_resize.h"
#include "engine/arena.h"

namespace mg {

namespace {

Frames noise(std::int64_t count, int height, int width, std::uint32_t site) {
  Frames frames{count, height, width, 25, {}};
  frames.rgb.resize(static_cast<std::size_t>(count) * frames.frame_bytes());
  for (std::size_t i = 0; i < frames.rgb.size(); ++i) {
    frames.rgb[i] =
        static_cast<std::uint8_t>(RandomKey{9, 0, site}.draw(0, static_cast<std::uint32_t>(i)).v[0]);
  }
  return frames;
}

MemoryFrames some_clips() {
  return MemoryFrames({noise(20, 20, 27, 0), noise(5, 20, 27, 1), noise(33, 20, 27, 2), noise(8, 20, 27, 3)});
}

InputSpec small_input() {
  InputSpec input;
  input.frames = 6;
  input.height = 12;
  input.width = 10;
  return input;
}

BatchRequest request_of(std::vector<std::int64_t> clips, std::uint32_t step = 0) {
  BatchRequest r;
  r.clips = std::move(clips);
  r.key = {11, step, random_site("loader")};
  return r;
}

Batch load(const FrameSource& source, const InputSpec& input, const Augmentation& augmentation,
           const BatchRequest& request, int threads = 1) {
  ClipLoader loader(source, input, augmentation, threads, heap_allocator());
  loader.request(request);
  return loader.next();
}

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.bytes() == b.bytes() && std::memcmp(a.f32(), b.f32(), a.bytes()) == 0;
}

float value_at(const Tensor& t, std::int64_t b, std::int64_t frame, std::int64_t y, std::int64_t x,
               std::int64_t c) {
  return t.at(((b * t.dim(1) + frame) * t.dim(2) + y) * t.dim(3) + x, c);
}

float pixel(const Frames& f, std::int64_t frame, int y, int x, int c) {
  return f.frame(frame)[static_cast<std::size_t>((y * f.width + x) * 3 + c)];
}

const Augmentation kEverything{0.5f, 0.7f, true, 0.3f, 0.4f, true};

class FailingSource : public MemoryFrames {
 public:
  using MemoryFrames::MemoryFrames;
  Frames read_frames(std::int64_t clip, const std::vector<std::int64_t>& numbers) const override {
    if (clip != 0) throw Error(ExitCode::data, "clip {} is bad", clip);
    return MemoryFrames::read_frames(clip, numbers);
  }
};

}  // namespace

TEST_CASE("loader: centre crops of centre frames, normalised, with zero padding") {
  const MemoryFrames source = some_clips();
  const InputSpec input = small_input();
  const Batch batch = load(source, input, {}, request_of({2, 1}));
  REQUIRE(batch.frames.shape() == Shape{2, 6, 12, 10, 3});
  CHECK(batch.frames.pitch() == 16);
  CHECK(batch.clips == std::vector<std::int64_t>{2, 1});
  for (std::int64_t b = 0; b < 2; ++b) {
    const Frames clip = source.read(batch.clips[static_cast<std::size_t>(b)]);
    const auto numbers = sample_frames(clip.count, 6, FrameSampler{}, {});
    float worst = 0;
    for (int t = 0; t < 6; ++t) {
      for (int y = 0; y < 12; ++y) {
        for (int x = 0; x < 10; ++x) {
          for (int c = 0; c < 3; ++c) {
            const float v = pixel(clip, numbers[static_cast<std::size_t>(t)], y + 4, x + 8, c) / 255;
            const auto i = static_cast<std::size_t>(c);
            worst = std::max(worst, std::fabs(value_at(batch.frames, b, t, y, x, c) -
                                              (v - input.mean[i]) / input.stddev[i]));
          }
        }
      }
    }
    CHECK(worst < 2e-6f);
  }
  for (std::int64_t r = 0; r < batch.frames.rows(); ++r) {
    for (std::int64_t c = 3; c < 16; ++c) REQUIRE(batch.frames.f32()[r * 16 + c] == 0);
  }
}

TEST_CASE("loader: a frame smaller than the input is cropped to its aspect ratio and resampled") {
  const MemoryFrames source({noise(6, 20, 27, 4)});
  InputSpec input = small_input();
  input.height = 40;
  input.width = 30;
  input.mean = {0, 0, 0};
  input.stddev = {1, 1, 1};
  CHECK(vary(input, 20, 27).crop == Crop{0, 6, 20, 15});
  const Batch batch = load(source, input, {}, request_of({0}));
  const Frames clip = source.read(0);
  FrameResizer resizer(20, 15, 40, 30, ResizeFilter::bilinear);
  std::vector<float> expected(40 * 30 * 3);
  resizer.resize(RgbWindow{clip.frame(2) + std::size_t{6} * 3, 20, 15, 27 * 3}, expected.data());
  float worst = 0;
  for (int i = 0; i < 40 * 30; ++i) {
    for (int c = 0; c < 3; ++c) {
      worst = std::max(worst, std::fabs(value_at(batch.frames, 0, 2, i / 30, i % 30, c) -
                                        expected[static_cast<std::size_t>(3 * i + c)] / 255));
    }
  }
  CHECK(worst < 1e-6f);
}

TEST_CASE("loader: crops lie everywhere, and are scaled about the input's size") {
  const InputSpec input = small_input();
  const RandomKey key{5};
  std::set<int> tops, lefts, heights;
  int flips = 0;
  for (std::uint32_t sample = 0; sample < 2000; ++sample) {
    Augmentation place_only;
    place_only.random_crop = true;
    const Variation fixed = vary(input, 20, 27, place_only, key, sample);
    CHECK(fixed.crop.height == 12);
    CHECK(fixed.crop.width == 10);
    CHECK_FALSE(fixed.flip);
    CHECK(fixed.brightness == 1);
    CHECK(fixed.contrast == 1);
    tops.insert(fixed.crop.top);
    lefts.insert(fixed.crop.left);
    const Variation v = vary(input, 20, 27, kEverything, key, sample);
    CHECK(v.crop.top >= 0);
    CHECK(v.crop.top + v.crop.height <= 20);
    CHECK(v.crop.left >= 0);
    CHECK(v.crop.left + v.crop.width <= 27);
    CHECK(std::abs(v.crop.width * 12 - v.crop.height * 10) <= 11);
    CHECK(std::fabs(v.brightness - 1) <= 0.3f);
    CHECK(std::fabs(v.contrast - 1) <= 0.4f);
    heights.insert(v.crop.height);
    flips += v.flip ? 1 : 0;
  }
  CHECK(tops.size() == 9);
  CHECK(lefts.size() == 18);
  CHECK(*heights.begin() == 8);    // 0.7 * 12
  CHECK(*heights.rbegin() == 17);  // 12 / 0.7
  CHECK(std::abs(flips - 1000) < 150);
}

TEST_CASE("loader: brightness, contrast and mirroring") {
  const MemoryFrames source({noise(6, 12, 10, 5)});
  InputSpec input = small_input();
  input.mean = {0, 0, 0};
  input.stddev = {1, 1, 1};
  const Frames clip = source.read(0);
  ClipTransform transform(input);
  std::vector<float> plain, changed;
  Variation v = vary(input, 12, 10);
  transform.apply(clip, v, plain);
  v.flip = true;
  v.brightness = 1.2f;
  v.contrast = 0.5f;
  transform.apply(clip, v, changed);
  double mean = 0;
  for (const float p : plain) mean += std::min(1.2 * p, 1.0);
  mean /= static_cast<double>(plain.size());
  double worst = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const std::size_t row = i / 30, x = i % 30 / 3, c = i % 3;
    const double bright = std::min(1.2 * plain[row * 30 + (9 - x) * 3 + c], 1.0);
    worst = std::max(worst, std::fabs(changed[i] - (mean + 0.5 * (bright - mean))));
  }
  CHECK(worst < 1e-6);
}

TEST_CASE("loader: motion is grey and its differences in time") {
  const MemoryFrames source({noise(6, 12, 10, 6)});
  InputSpec input = small_input();
  input.kind = InputKind::motion;
  const Batch batch = load(source, input, {}, request_of({0}));
  const Frames clip = source.read(0);
  auto grey = [&](int t, int y, int x) {
    return (0.299 * pixel(clip, t, y, x, 0) + 0.587 * pixel(clip, t, y, x, 1) +
            0.114 * pixel(clip, t, y, x, 2)) /
           255;
  };
  double mean = 0;
  for (int i = 0; i < 6 * 120; ++i) mean += grey(i / 120, i % 120 / 10, i % 10) / 720;
  double worst = 0;
  for (int i = 0; i < 6 * 120; ++i) {
    const int t = i / 120, y = i % 120 / 10, x = i % 10;
    const double now = grey(t, y, x), before = grey(std::max(t - 1, 0), y, x),
                 after = grey(std::min(t + 1, 5), y, x);
    worst = std::max(worst, std::fabs(value_at(batch.frames, 0, t, y, x, 0) - 0.3 * (now - mean)));
    worst = std::max(worst, std::fabs(value_at(batch.frames, 0, t, y, x, 1) - 3 * (now - before)));
    worst = std::max(worst, std::fabs(value_at(batch.frames, 0, t, y, x, 2) - 3 * (after - now)));
  }
  CHECK(worst < 2e-6);
}

TEST_CASE("loader: the same batches whatever the threads, the order of requests and the batch split") {
  const MemoryFrames source = some_clips();
  for (const InputKind kind : {InputKind::rgb, InputKind::motion}) {
    InputSpec input = small_input();
    input.kind = kind;
    std::vector<BatchRequest> requests;
    for (std::uint32_t step = 0; step < 5; ++step) {
      BatchRequest r = request_of({0, 3, 1, 2, 0}, step);
      r.augment = step != 2;
      r.shuffle_frames = step == 3;
      if (step == 4) {
        r.partner = {1, 0, 3, 2, 4};
        r.share = {0.25f, 0.5f, 1, 0.75f, 0.5f};
      }
      requests.push_back(r);
    }
    std::vector<Tensor> first;
    for (const BatchRequest& r : requests) first.push_back(load(source, input, kEverything, r).frames);
    ClipLoader loader(source, input, kEverything, 3, heap_allocator());
    for (const BatchRequest& r : requests) loader.request(r);
    CHECK(loader.in_flight() == 5);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      CAPTURE(i);
      CHECK(equal(loader.next().frames, first[i]));
    }
    CHECK(loader.in_flight() == 0);

    // Two halves with the right sample numbers are the whole.
    BatchRequest half = requests[0];
    half.clips = {1, 2};
    half.first_sample = 2;
    const Tensor part = load(source, input, kEverything, half).frames;
    const std::size_t sample = part.bytes() / 2;
    CHECK(std::memcmp(part.as<char>(), first[0].as<char>() + 2 * sample, 2 * sample) == 0);
    // The same clip as another sample, or at another step, is seen otherwise.
    CHECK(std::memcmp(first[0].as<char>(), first[0].as<char>() + 4 * sample, sample) != 0);
    CHECK_FALSE(equal(first[0], first[1]));
  }
}

TEST_CASE("loader: each frame of a sample has a draw of its own") {
  // Every pixel of frame t is t.
  Frames counted{80, 12, 10, 25, {}};
  for (int t = 0; t < 80; ++t)
    counted.rgb.insert(counted.rgb.end(), counted.frame_bytes(), static_cast<std::uint8_t>(t));
  const MemoryFrames source({counted});
  InputSpec input = small_input();
  input.frames = 8;
  input.mean = {0, 0, 0};
  input.stddev = {1, 1, 1};
  std::vector<int> equal_pairs(64, 0);
  for (std::uint32_t step = 0; step < 40; ++step) {
    BatchRequest r = request_of({0}, step);
    r.augment = true;
    const Tensor frames = load(source, input, {}, r).frames;
    std::vector<int> place;  // within the segment of ten
    for (std::int64_t t = 0; t < 8; ++t) {
      const int number = static_cast<int>(std::lround(value_at(frames, 0, t, 0, 0, 0) * 255));
      CHECK(number / 10 == t);
      place.push_back(number % 10);
    }
    for (std::size_t a = 0; a < 8; ++a) {
      for (std::size_t b = 0; b < a; ++b) equal_pairs[a * 8 + b] += place[a] == place[b] ? 1 : 0;
    }
  }
  CHECK(*std::max_element(equal_pairs.begin(), equal_pairs.end()) < 20);  // 4 of 40 are expected
}

TEST_CASE("loader: training and tests sample frames as they are told, by the key alone") {
  // Every pixel of frame t is t; one clip of 13 frames, and one of wanted + 1.
  const auto counted = [](int count) {
    Frames frames{count, 12, 10, 25, {}};
    for (int t = 0; t < count; ++t)
      frames.rgb.insert(frames.rgb.end(), frames.frame_bytes(), static_cast<std::uint8_t>(t));
    return frames;
  };
  const MemoryFrames source({counted(13), counted(7)});
  InputSpec input = small_input();  // six frames
  input.mean = {0, 0, 0};
  input.stddev = {1, 1, 1};
  input.test_sampling = FrameSampling::authors_random;
  input.short_clips = ShortClips::loop;
  const auto numbers = [&](std::int64_t clip, bool augment, std::uint32_t step) {
    BatchRequest r = request_of({clip}, step);
    r.augment = augment;
    const Tensor frames = load(source, input, {}, r).frames;
    std::vector<std::int64_t> all;
    for (std::int64_t t = 0; t < 6; ++t) all.push_back(std::lround(value_at(frames, 0, t, 0, 0, 0) * 255));
    return all;
  };
  std::set<std::vector<std::int64_t>> tests, trainings;
  bool last_frame = false;
  for (std::uint32_t step = 0; step < 60; ++step) {
    const auto test = numbers(0, false, step), training = numbers(0, true, step);
    CHECK(test == numbers(0, false, step));
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(test[i] / 2 == static_cast<std::int64_t>(i));  // segments of two: [0, 2), ... [10, 12)
    }
    last_frame = last_frame || training.back() == 12;
    tests.insert(test);
    trainings.insert(training);
  }
  CHECK(tests.size() > 30);
  CHECK(trainings.size() > 30);
  CHECK(last_frame);  // segment_random reaches it
  // Seven frames are short of eight in training, but not in a test.
  input.train_sampling = FrameSampling::authors_random;
  CHECK(numbers(1, true, 0) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  input.short_clips = ShortClips::paper_random;
  std::set<std::vector<std::int64_t>> shorts;
  for (std::uint32_t step = 0; step < 20; ++step) {
    shorts.insert(numbers(1, true, step));
    CHECK(numbers(1, false, step) == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  }
  CHECK(shorts.size() > 10);
}

TEST_CASE("loader: shuffled frames are a permutation of the sampled ones") {
  const MemoryFrames source = some_clips();
  const InputSpec input = small_input();
  BatchRequest r = request_of({2});
  const Tensor ordered = load(source, input, {}, r).frames;
  r.shuffle_frames = true;
  const std::size_t frame = ordered.bytes() / 6;
  std::set<std::string> before;
  std::set<std::vector<std::size_t>> orders;
  for (std::uint32_t step = 0; step < 20; ++step) {
    r.key.step = step;
    const Tensor shuffled = load(source, input, {}, r).frames;
    std::vector<std::size_t> order;
    for (std::size_t t = 0; t < 6; ++t) {
      for (std::size_t s = 0; s < 6; ++s) {
        if (std::memcmp(shuffled.as<char>() + t * frame, ordered.as<char>() + s * frame, frame) == 0)
          order.push_back(s);
      }
    }
    CHECK(order.size() == 6);
    CHECK(std::set<std::size_t>(order.begin(), order.end()).size() == 6);
    orders.insert(order);
  }
  CHECK(orders.size() > 15);
}

TEST_CASE("loader: mixup is the stated mean of two samples") {
  const MemoryFrames source = some_clips();
  const InputSpec input = small_input();
  BatchRequest r = request_of({0, 1, 2});
  r.augment = true;
  const Tensor plain = load(source, input, kEverything, r).frames;
  r.partner = {1, 2, 2};
  r.share = {0.3f, 1, 0};
  const Tensor mixed = load(source, input, kEverything, r).frames;
  const std::int64_t pixels = plain.rows() / 3;
  for (std::int64_t p = 0; p < pixels; ++p) {
    for (std::int64_t c = 0; c < 3; ++c) {
      REQUIRE(mixed.at(p, c) ==
              doctest::Approx(0.3 * plain.at(p, c) + 0.7 * plain.at(pixels + p, c)).epsilon(1e-5));
      REQUIRE(mixed.at(pixels + p, c) == plain.at(pixels + p, c));
      REQUIRE(mixed.at(2 * pixels + p, c) == plain.at(2 * pixels + p, c));
    }
  }
}

TEST_CASE("loader: what goes wrong in a worker comes out of next(), in its place") {
  const FailingSource source({noise(4, 12, 10, 0), noise(4, 12, 10, 1), noise(4, 12, 10, 2)});
  Arena arena;
  ClipLoader loader(source, small_input(), {}, 2, arena);
  loader.request(request_of({0}));
  loader.request(request_of({0, 2, 1, 2}));
  loader.request(request_of({0, 0}));
  CHECK(loader.next().frames.dim(0) == 1);
  try {
    loader.next();
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()) == "clip 2 is bad");
    CHECK(e.code() == ExitCode::data);
  }
  CHECK(loader.next().frames.dim(0) == 2);
  CHECK_THROWS_AS(loader.next(), Error);
}

TEST_CASE("loader: wrong requests and settings are refused at once") {
  const MemoryFrames source = some_clips();
  ClipLoader loader(source, small_input(), {}, 1, heap_allocator());
  CHECK_THROWS_AS(loader.request(request_of({})), Error);
  CHECK_THROWS_AS(loader.request(request_of({4})), Error);
  CHECK_THROWS_AS(loader.request(request_of({-1})), Error);
  BatchRequest r = request_of({0, 1});
  r.partner = {1};
  r.share = {0.5f};
  CHECK_THROWS_AS(loader.request(r), Error);
  r.partner = {1, 2};
  r.share = {0.5f, 0.5f};
  CHECK_THROWS_AS(loader.request(r), Error);
  CHECK(loader.in_flight() == 0);
  Augmentation wrong;
  wrong.crop_scale = 0;
  CHECK_THROWS_AS(ClipLoader(source, small_input(), wrong, 1, heap_allocator()), Error);
}

TEST_CASE("loader: it can be dropped with work in flight") {
  const MemoryFrames source = some_clips();
  const auto start = std::chrono::steady_clock::now();
  {
    ClipLoader loader(source, small_input(), kEverything, 2, heap_allocator());
    for (std::uint32_t step = 0; step < 20000; ++step) loader.request(request_of({0, 1, 2, 3}, step));
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

}  // namespace mg
