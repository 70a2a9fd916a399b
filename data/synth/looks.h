// What a person, a room and a camera look like. None of it depends on the gestures or on the emotion.
#pragma once

#include <cstdint>
#include <string_view>

#include "data/synth/gesture.h"
#include "data/synth/motion.h"
#include "data/synth/raster.h"

namespace mg::synth {

enum class HairStyle { bald, cropped, parted, bob, long_hair, bun };
enum class Garment { crew_neck, v_neck, shirt, jacket };

// A subject: the same in each of its recordings. Lengths in units (see gesture.h).
struct Person {
  Vec2 head{13.2f, 16.8f};  // radii
  float neck = 8, shoulder = 26, waist = 19, torso = 62, arm = 31, arm_radius = 5.2f, size = 1;
  float eye_spacing = 0.42f, eye_size = 1, nose = 1, mouth = 1;
  Color skin, hair, iris, lips;
  HairStyle hair_style = HairStyle::cropped;
  bool glasses = false, beard = false;
  Garment garment = Garment::crew_neck;
  Color cloth, cloth_second, inner;
  Pattern pattern = Pattern::plain;
  float pattern_period = 8;
  bool long_sleeves = true;
  Manner manner;
  Tempo tempo;
};
Person draw_person(std::uint64_t seed, std::string_view subject);

// A recording's room, light and camera.
struct Scene {
  Vec2 seat;  // where the seat is, pixels
  float zoom = 1;
  Color desk;
  float desk_edge = 106;  // y of its far edge, pixels
  Color chair;
  bool high_chair = false;
  float exposure = 1, warmth = 0;  // of the light
  float flicker = 0;
  Vec2 light{-0.6f, -0.8f};  // towards the light
  float noise = 0.012f, shake = 0.5f;
};
Scene draw_scene(std::uint64_t seed, std::string_view recording);

// The wall behind, larger than the picture by kMargin on each side, for a camera that shakes.
inline constexpr int kMargin = 4;
Canvas draw_wall(std::uint64_t seed, std::string_view recording, int width, int height);

}  // namespace mg::synth
