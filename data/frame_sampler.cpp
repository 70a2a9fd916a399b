#include "data/frame_sampler.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace mg {

namespace {

// A whole number of [first, first + count), of a draw from [0, 1).
std::int64_t whole_number(float draw, std::int64_t first, std::int64_t count) {
  return first + static_cast<std::int64_t>(static_cast<double>(draw) * static_cast<double>(count));
}

struct Window {
  double start, length;
};

Window window_of(std::int64_t length, float least, std::span<const float> draws) {
  const double share = 1 - (1 - static_cast<double>(least)) * draws[0];
  const double seen = share * static_cast<double>(length);
  return {draws[1] * (static_cast<double>(length) - seen), seen};
}

// Of the authors' segment i, whose bounds are computed as numpy.linspace computes them. A clip that is not
// short has a frame in every segment; an empty segment would give its first bound.
std::int64_t authors_frame(std::int64_t length, int wanted, int i, float draw) {
  const double step = static_cast<double>(length - 1) / wanted;
  const auto first = static_cast<std::int64_t>(i * step);
  const auto end = i + 1 == wanted ? length - 1 : static_cast<std::int64_t>((i + 1) * step);
  return whole_number(draw, first, std::max<std::int64_t>(end - first, 1));
}

enum class Rule { center, segment_random, authors_random, loop, with_replacement };

Rule rule_of(const FrameSampler& sampler, std::int64_t length, int wanted) {
  const bool authors = sampler.sampling == FrameSampling::authors_random;
  const bool is_short = authors ? length <= wanted + (sampler.training ? 1 : 0) : length < wanted;
  if (is_short && sampler.short_clips == ShortClips::loop) return Rule::loop;
  if (is_short && sampler.short_clips == ShortClips::paper_random) return Rule::with_replacement;
  if (authors) return is_short ? Rule::center : Rule::authors_random;
  return sampler.sampling == FrameSampling::segment_random ? Rule::segment_random : Rule::center;
}

bool rule_draws(Rule rule) { return rule != Rule::center && rule != Rule::loop; }

}  // namespace

bool FrameSampler::draws(std::int64_t length, int wanted) const {
  return rule_draws(rule_of(*this, length, wanted));
}

std::vector<std::int64_t> sample_frames(std::int64_t length, int wanted, const FrameSampler& sampler,
                                        std::span<const float> draws) {
  expect(length >= 1 && wanted >= 1, "sample_frames: {} frames of {}", wanted, length);
  const Rule rule = rule_of(sampler, length, wanted);
  expect(!rule_draws(rule) || draws.size() >= 2 + static_cast<std::size_t>(wanted),
         "sample_frames: expected {} draws, got {}", 2 + wanted, draws.size());
  const Window window = rule == Rule::segment_random ? window_of(length, sampler.window, draws) : Window{};
  const auto frame = [&](int i) -> std::int64_t {
    const float draw = rule_draws(rule) ? draws[2 + static_cast<std::size_t>(i)] : 0;
    switch (rule) {
      case Rule::center:
        return (2 * i + 1) * length / (2 * std::int64_t{wanted});
      case Rule::segment_random: {
        const double place = window.start + (i + static_cast<double>(draw)) * window.length / wanted;
        return std::clamp<std::int64_t>(static_cast<std::int64_t>(place), 0, length - 1);
      }
      case Rule::authors_random:
        return authors_frame(length, wanted, i, draw);
      case Rule::loop:
        return i % length;
      case Rule::with_replacement:
        return whole_number(draw, 0, length);
    }
    return 0;
  };
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(wanted));
  for (int i = 0; i < wanted; ++i) numbers[static_cast<std::size_t>(i)] = frame(i);
  if (rule == Rule::with_replacement) std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace mg
