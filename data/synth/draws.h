// A stream of random numbers with a name: the same whatever else was drawn before it, on any thread.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

#include "kernels/philox.h"

namespace mg::synth {

class Draws {
 public:
  // name: whom the numbers belong to (a subject, a recording, ...); purpose: what they decide; index: of the
  // gesture, frame or row, where there are many.
  Draws(std::uint64_t seed, std::string_view name, std::string_view purpose, std::uint32_t index = 0)
      : key_{seed, random_site(purpose), random_site(name)}, index_(index) {}

  float uniform() {
    if (next_ % 4 == 0) block_ = key_.draw(index_, next_ / 4);
    return uniform01(block_.v[next_++ % 4]);
  }
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  // 0 .. count - 1
  int integer(int count) {
    const int drawn = static_cast<int>(uniform() * static_cast<float>(count));
    return drawn < count ? drawn : count - 1;
  }
  bool chance(float probability) { return uniform() < probability; }
  float sign() { return chance(0.5f) ? 1.0f : -1.0f; }
  // Box and Muller's, one of the pair.
  float normal() {
    const float radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi_v<float> * uniform());
  }

 private:
  RandomKey key_;
  std::uint32_t index_, next_ = 0;
  Philox4 block_{};
};

}  // namespace mg::synth
