// One recording's course: gestures one after the other, between them the way to the next posture, and all the
// while breath, sway, blinks and fidgets. Any frame's pose can be asked for by itself.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "data/synth/gesture.h"

namespace mg::synth {

inline constexpr int kFps = 25;

struct Tempo {
  float speed = 1;       // of gestures: 1 is 26 frames in the mean
  float liveliness = 1;  // of fidgets
};

struct GestureSpan {
  int gesture = 0;
  int first = 0, last = 0;                      // frames in which it happens
  int annotated_first = 0, annotated_last = 0;  // as an annotator would have it: a few frames off
};

// What moves beside the pose.
struct Life {
  float breath = 0;               // -1 .. 1
  float eyelids = 1;              // 0: closed
  float gaze_x = 0, gaze_y = 0;   // -1 .. 1
  float brows = 0;                // units up
  float mouth = 0;                // 0: closed, 1: wide open
  std::array<float, 2> wiggle{};  // of the fingers, radians
};

class Motion {
 public:
  // name: the recording's; the draws depend on it and on seed.
  Motion(std::uint64_t seed, std::string_view name, std::span<const int> gestures, const Manner& manner,
         const Tempo& tempo);

  int frames() const { return frames_; }
  const std::vector<GestureSpan>& gestures() const { return gestures_; }
  Pose pose_at(int frame) const;
  Life life_at(int frame) const;

 private:
  // The way from one pose to another; torso, head and hands leave and arrive at their own times.
  enum Part { kTorso, kHead, kLeftHand, kRightHand, kParts };
  struct Way {
    Pose from, to;
    std::array<float, kParts> start, end;  // frames
    float skew = 1;                        // of the speed: above 1 late, below 1 early
  };
  struct Event {
    float start, end, size;
    int kind;
  };
  struct Wave {
    float size, cycles_per_frame, phase;
    float at(float frame) const;
  };

  void draw_ways(std::uint64_t seed, std::string_view name, std::span<const int> gestures,
                 const Manner& manner, const Tempo& tempo);
  void draw_life(std::uint64_t seed, std::string_view name, const Tempo& tempo);
  void add_gap(Draws& draws, const Pose& from, const Pose& to);

  int frames_ = 0;
  std::vector<GestureSpan> gestures_;
  std::vector<Way> ways_;
  std::vector<int> way_starts_;
  std::vector<Event> blinks_, glances_, fidgets_, words_;
  std::vector<Wave> waves_;  // two each of: roll, yaw, pitch, tilt, lean; then breath
};

}  // namespace mg::synth
