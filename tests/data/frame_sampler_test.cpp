#include "data/frame_sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "engine/error.h"
#include "kernels/philox.h"

namespace mg {

namespace {

using Numbers = std::vector<std::int64_t>;

constexpr float kLast = 0.99999994f;  // the largest draw

std::vector<float> random_draws(std::uint32_t trial, int wanted) {
  std::vector<float> draws;
  for (int i = 0; i < 2 + wanted; ++i) {
    draws.push_back(uniform01(RandomKey{3}.draw(trial, static_cast<std::uint32_t>(i)).v[0]));
  }
  return draws;
}

Numbers sampled_by(const FrameSampler& sampler, std::int64_t length, int wanted, float draw) {
  return sample_frames(length, wanted, sampler,
                       std::vector<float>(static_cast<std::size_t>(wanted) + 2, draw));
}

const FrameSampler kWhole{.sampling = FrameSampling::segment_random};

// The bounds of the authors' segments in whole numbers: floor(i (length - 1) / wanted).
std::int64_t bound(std::int64_t length, int wanted, int i) { return i * (length - 1) / wanted; }

}  // namespace

TEST_CASE("sampling: the centre of each segment") {
  CHECK(sample_frames(16, 4, FrameSampler{}, {}) == Numbers{2, 6, 10, 14});
  CHECK(sample_frames(4, 4, FrameSampler{}, {}) == Numbers{0, 1, 2, 3});
  CHECK(sample_frames(10, 3, FrameSampler{}, {}) == Numbers{1, 5, 8});
  CHECK(sample_frames(2, 6, FrameSampler{}, {}) == Numbers{0, 0, 0, 1, 1, 1});
  CHECK(sample_frames(1, 3, FrameSampler{}, {}) == Numbers{0, 0, 0});
  CHECK_THROWS_AS(sample_frames(0, 3, FrameSampler{}, {}), Error);
}

TEST_CASE("sampling: a random frame of each segment of a random window") {
  CHECK(sample_frames(16, 4, kWhole, std::vector<float>{0.3f, 0.3f, 0, 0.5f, kLast, 0}) ==
        Numbers{0, 6, 11, 12});
  // A window of half the length, at the end.
  CHECK(sample_frames(16, 4, FrameSampler{.sampling = FrameSampling::segment_random, .window = 0},
                      std::vector<float>{0.5f, kLast, 0, 0, 0, kLast}) == Numbers{7, 9, 11, 15});
  const FrameSampler windowed{.sampling = FrameSampling::segment_random, .window = 0.4f};
  std::set<std::int64_t> seen;
  for (std::uint32_t trial = 0; trial < 300; ++trial) {
    const Numbers numbers = sample_frames(13, 5, windowed, random_draws(trial, 5));
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    CHECK(numbers.front() >= 0);
    CHECK(numbers.back() <= 12);
    seen.insert(numbers.begin(), numbers.end());
  }
  CHECK(seen.size() == 13);
  CHECK_THROWS_AS(sample_frames(5, 3, kWhole, std::vector<float>(4)), Error);
}

TEST_CASE("sampling: the authors' random frames stay within their segments, and never reach the last frame") {
  for (const int wanted : {1, 2, 5, 6, 32, 49}) {
    for (const std::int64_t length :
         {std::int64_t{1}, wanted + 1L, wanted + 2L, 2L * wanted + 3, 101L, 1000L, 9973L}) {
      for (const bool training : {false, true}) {
        if (length <= wanted + (training ? 1 : 0)) continue;
        CAPTURE(wanted);
        CAPTURE(length);
        const FrameSampler sampler{.sampling = FrameSampling::authors_random, .training = training};
        CHECK(sampler.draws(length, wanted));
        const Numbers first = sampled_by(sampler, length, wanted, 0),
                      last = sampled_by(sampler, length, wanted, kLast);
        for (int i = 0; i < wanted; ++i) {
          const auto at = static_cast<std::size_t>(i);
          // Where a bound is whole, linspace's arithmetic may fall just below it.
          const std::int64_t whole = i * (length - 1) % wanted == 0 ? 1 : 0;
          const std::int64_t next_whole = (i + 1) * (length - 1) % wanted == 0 && i + 1 < wanted ? 1 : 0;
          CHECK(first[at] >= bound(length, wanted, i) - whole);
          CHECK(first[at] <= bound(length, wanted, i));
          CHECK(last[at] >= bound(length, wanted, i + 1) - 1 - next_whole);
          CHECK(last[at] <= bound(length, wanted, i + 1) - 1);
          CHECK(last[at] >= first[at]);
        }
        CHECK(last.back() == length - 2);
      }
    }
  }
}

TEST_CASE("sampling: the authors' frames are spread evenly over their segment") {
  const FrameSampler sampler{.sampling = FrameSampling::authors_random};
  // 41 frames in segments of ten: [0, 10), [10, 20), ...
  std::vector<int> counts(41);
  for (std::uint32_t trial = 0; trial < 4000; ++trial) {
    const Numbers numbers = sample_frames(41, 4, sampler, random_draws(trial, 4));
    for (std::int64_t i = 0; i < 4; ++i) CHECK(numbers[static_cast<std::size_t>(i)] / 10 == i);
    for (const std::int64_t n : numbers) ++counts[static_cast<std::size_t>(n)];
  }
  CHECK(counts[40] == 0);
  // 400 expected, standard deviation 19.
  CHECK(*std::min_element(counts.begin(), counts.end() - 1) > 310);
  CHECK(*std::max_element(counts.begin(), counts.end()) < 490);
}

TEST_CASE("sampling: which clips are short depends on the rule and on training") {
  constexpr int kWanted = 8;
  struct Case {
    FrameSampling sampling;
    bool training;
    std::int64_t longest_short;
  };
  const std::vector<Case> cases{{FrameSampling::center, false, kWanted - 1},
                                {FrameSampling::segment_random, true, kWanted - 1},
                                {FrameSampling::authors_random, false, kWanted},
                                {FrameSampling::authors_random, true, kWanted + 1}};
  for (const Case& c : cases) {
    for (const std::int64_t length : {1, kWanted - 1, kWanted, kWanted + 1, kWanted + 2}) {
      CAPTURE(static_cast<int>(c.sampling));
      CAPTURE(length);
      const bool is_short = length <= c.longest_short;
      FrameSampler sampler{
          .sampling = c.sampling, .short_clips = ShortClips::paper_random, .training = c.training};
      CHECK(sampler.draws(length, kWanted) == (is_short || c.sampling != FrameSampling::center));
      if (is_short) {
        CHECK(sampled_by(sampler, length, kWanted, kLast) == Numbers(kWanted, length - 1));
        CHECK(sampled_by(sampler, length, kWanted, 0) == Numbers(kWanted, 0));
      }
      sampler.short_clips = ShortClips::loop;
      if (is_short) {
        CHECK_FALSE(sampler.draws(length, kWanted));
        Numbers expected;
        for (std::int64_t i = 0; i < kWanted; ++i) expected.push_back(i % length);
        CHECK(sample_frames(length, kWanted, sampler, {}) == expected);
      }
      sampler.short_clips = ShortClips::nearest_repeat;
      if (is_short && c.sampling != FrameSampling::segment_random) {
        CHECK(sample_frames(length, kWanted, sampler, {}) ==
              sample_frames(length, kWanted, FrameSampler{}, {}));
      }
    }
  }
}

TEST_CASE("sampling: short clips are drawn with replacement, in order") {
  const FrameSampler sampler{.short_clips = ShortClips::paper_random};
  std::vector<int> counts(5);
  std::set<Numbers> seen;
  for (std::uint32_t trial = 0; trial < 2000; ++trial) {
    const Numbers numbers = sample_frames(5, 8, sampler, random_draws(trial, 8));
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    for (const std::int64_t n : numbers) ++counts[static_cast<std::size_t>(n)];
    seen.insert(numbers);
  }
  // 3200 expected of each, standard deviation 51; 495 multisets exist.
  for (const int count : counts) CHECK(std::abs(count - 3200) < 260);
  CHECK(seen.size() > 300);
  CHECK_THROWS_AS(sample_frames(5, 8, sampler, std::vector<float>(9)), Error);
}

}  // namespace mg
