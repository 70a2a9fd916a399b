// The micro gestures. Each goes from one pose to another, and six pairs are each other's time reversal: both
// of a pair show the same poses, drawn from the same distribution, and only the order in time tells them
// apart. None changes its name in a mirror.
#pragma once

#include <array>
#include <string_view>

#include "data/synth/draws.h"

namespace mg::synth {

inline constexpr int kGestures = 12;

struct GestureName {
  std::string_view label, caption;
};
const std::array<GestureName, kGestures>& gesture_names();

// What a gesture moves: gestures 2c and 2c + 1 move channel c, from its low to its high end and back.
enum class Channel { face, fingers, lean, pitch, yaw, shoulders };
inline Channel channel_of(int gesture) { return static_cast<Channel>(gesture / 2); }
inline bool is_reversed(int gesture) { return gesture % 2 == 1; }

struct Vec3 {
  float x = 0, y = 0, z = 0;
  friend Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
  friend Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
  friend Vec3 operator*(Vec3 a, float k) { return {a.x * k, a.y * k, a.z * k}; }
};
inline float dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

struct HandPose {
  Vec3 desk;        // where it lies when it is down, from the seat
  Vec3 face;        // where it touches, from the centre of the head
  float raise = 0;  // 0: down, 1: at the face
};

// Lengths in units (pixels at the camera's standard distance): x to the right of the picture, y down, z
// towards the camera. Index 0 is the side at the left of the picture.
struct Pose {
  float lean = 0;                      // radians, forward
  float roll = 0;                      // radians, of the torso to the right
  float shoulders = 0;                 // units up
  float yaw = 0, pitch = 0, tilt = 0;  // radians, of the head: right, down, clockwise
  float fingers = 0;                   // 0: hands apart, 1: fingers crossed
  std::array<HandPose, 2> hands;
};

// How far a person moves, and with which hand (habit, not fate).
struct Manner {
  float amplitude = 1;
  int hand = 1;
};

// How a person sits when not gesturing: fresh for each gesture, so that a pose alone says little.
Pose draw_posture(Draws& draws, const Manner& manner);
// The poses that a gesture goes between, for a person who sits so.
struct GesturePoses {
  Pose first, last;
};
GesturePoses draw_gesture(int gesture, const Pose& posture, Draws& draws, const Manner& manner);

}  // namespace mg::synth
