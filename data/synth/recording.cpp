#include "data/synth/recording.h"

#include <cmath>

#include "data/synth/figure.h"

namespace mg::synth {

namespace {
constexpr int kNoiseTable = 8192;
}

Recording::Recording(std::uint64_t seed, const std::string& subject, const std::string& name,
                     std::span<const int> gestures)
    : seed_(seed),
      name_(name),
      person_(draw_person(seed, subject)),
      scene_(draw_scene(seed, name)),
      motion_(seed, name, gestures, person_.manner, person_.tempo),
      wall_(draw_wall(seed, name, kWidth, kHeight)) {
  Draws draws(seed, name, "noise table");
  for (int i = 0; i < kNoiseTable + kWidth; ++i) noise_.push_back(scene_.noise * draws.normal());
}

void Recording::render(int frame, Canvas& canvas) const {
  const auto t = static_cast<float>(frame);
  // A camera on a tripod that stands on a floor with people: two slow swings and a tremble.
  Draws draws(seed_, name_, "tremble", static_cast<std::uint32_t>(frame));
  const Vec2 shake =
      Vec2{std::sin(0.11f * t) + 0.25f * draws.normal(), std::sin(0.083f * t + 1) + 0.25f * draws.normal()} *
      scene_.shake;
  const auto margin = static_cast<float>(kMargin);
  canvas.copy_from(wall_, Vec2{margin, margin} - shake);
  draw_figure(canvas, person_, scene_, motion_.pose_at(frame), motion_.life_at(frame), shake);
  expose(frame, canvas);
}

void Recording::expose(int frame, Canvas& canvas) const {
  Draws draws(seed_, name_, "noise", static_cast<std::uint32_t>(frame));
  const float exposure = scene_.exposure * (1 + scene_.flicker * draws.normal());
  const float gain[3] = {exposure * (1 + scene_.warmth), exposure, exposure * (1 - scene_.warmth)};
  for (int y = 0; y < canvas.height(); ++y) {
    float* pixel = canvas.row(y);
    const float* noise = noise_.data() + draws.integer(kNoiseTable);
    for (int x = 0; x < canvas.width(); ++x, pixel += 3) {
      for (int c = 0; c < 3; ++c) pixel[c] = pixel[c] * gain[c] + noise[x];
    }
  }
}

}  // namespace mg::synth
