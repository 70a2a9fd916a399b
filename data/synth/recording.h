// One untrimmed video before it is encoded: a person, a scene and a course of gestures.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/synth/looks.h"
#include "data/synth/motion.h"
#include "data/synth/raster.h"

namespace mg::synth {

inline constexpr int kWidth = 160, kHeight = 120;

class Recording {
 public:
  Recording(std::uint64_t seed, const std::string& subject, const std::string& name,
            std::span<const int> gestures);

  const Motion& motion() const { return motion_; }
  // What the camera records of a frame: canvas (kWidth x kHeight) in [0, 1], but for noise that reaches
  // beyond.
  void render(int frame, Canvas& canvas) const;

 private:
  void expose(int frame, Canvas& canvas) const;

  std::uint64_t seed_;
  std::string name_;
  Person person_;
  Scene scene_;
  Motion motion_;
  Canvas wall_;
  std::vector<float> noise_;  // normally distributed; each row of a frame starts at a place of its own
};

}  // namespace mg::synth
