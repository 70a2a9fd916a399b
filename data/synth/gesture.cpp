#include "data/synth/gesture.h"

#include <algorithm>
#include <utility>

namespace mg::synth {

namespace {

struct Range {
  float low, high;
};

// Where postures and gestures take place.
constexpr Range kLean{-0.10f, 0.30f}, kPitch{-0.30f, 0.38f}, kYaw{0.0f, 0.9f}, kShoulders{0.0f, 9.0f};

float draw_value(Draws& draws, Range range) { return draws.uniform(range.low, range.high); }

// A low and a high end within the range, apart by about half of it.
Range draw_ends(Draws& draws, Range range, float amplitude) {
  const float width = range.high - range.low;
  const float way = width * std::min(0.95f, draws.uniform(0.6f, 0.8f) * amplitude);
  const float low = range.low + (width - way) * draws.uniform();
  return {low, low + way};
}

// Cheek, chin, mouth, ear or forehead.
Vec3 draw_face_point(Draws& draws, float side) {
  static constexpr Vec3 kPoints[] = {{9, 7, 9}, {4, 15, 9}, {3, 9, 12}, {13, 2, 5}, {7, -6, 10}};
  const Vec3 p = kPoints[draws.integer(5)];
  return {side * p.x + draws.uniform(-1, 1), p.y + draws.uniform(-1, 1), p.z};
}

}  // namespace

const std::array<GestureName, kGestures>& gesture_names() {
  static constexpr std::array<GestureName, kGestures> kNames = {{
      {"touching the face", "a person lifts a hand and touches the face"},
      {"taking the hand off the face", "a person takes the hand off the face and puts it down"},
      {"crossing fingers", "a person brings both hands together and crosses the fingers"},
      {"uncrossing fingers", "a person uncrosses the fingers and moves the hands apart"},
      {"leaning forward", "a person leans forward towards the camera"},
      {"leaning back", "a person leans back in the chair"},
      {"lowering the head", "a person lowers the head and looks down"},
      {"raising the head", "a person raises the head and looks up"},
      {"turning the head away", "a person turns the head away to one side"},
      {"turning the head back", "a person turns the head back to the front"},
      {"raising the shoulders", "a person pulls up both shoulders"},
      {"dropping the shoulders", "a person lets both shoulders drop"},
  }};
  return kNames;
}

Pose draw_posture(Draws& draws, const Manner& manner) {
  Pose pose;
  pose.lean = draw_value(draws, kLean);
  pose.roll = draws.uniform(-0.05f, 0.05f);
  pose.shoulders = draw_value(draws, kShoulders) * draws.uniform();
  pose.yaw = draws.sign() * draw_value(draws, kYaw) * draws.uniform() * 0.8f;
  pose.pitch = draw_value(draws, {kPitch.low * 0.7f, kPitch.high * 0.7f});
  pose.tilt = draws.uniform(-0.10f, 0.10f);
  pose.fingers = draws.chance(0.4f) ? 1.0f : draws.uniform(0, 0.2f);
  for (int side = 0; side < 2; ++side) {
    const float sign = side == 0 ? -1.0f : 1.0f;
    auto& hand = pose.hands[static_cast<std::size_t>(side)];
    hand.desk = {sign * draws.uniform(13, 23), draws.uniform(-19, -13), draws.uniform(20, 26)};
    hand.face = draw_face_point(draws, sign);
  }
  const bool at_face = draws.chance(0.15f);
  const int side = draws.chance(0.8f) ? manner.hand : 1 - manner.hand;
  if (at_face) pose.hands[static_cast<std::size_t>(side)].raise = 1;
  return pose;
}

GesturePoses draw_gesture(int gesture, const Pose& posture, Draws& draws, const Manner& manner) {
  GesturePoses poses{posture, posture};
  Pose& low = poses.first;
  Pose& high = poses.last;
  const float amplitude = manner.amplitude * draws.uniform(0.85f, 1.15f);
  auto set = [&](float Pose::*member, Range range, float sign) {
    const Range ends = draw_ends(draws, range, amplitude);
    low.*member = sign * ends.low;
    high.*member = sign * ends.high;
  };
  switch (channel_of(gesture)) {
    case Channel::face: {
      const int side = draws.chance(0.8f) ? manner.hand : 1 - manner.hand;
      for (auto* pose : {&low, &high}) pose->hands[0].raise = pose->hands[1].raise = 0;
      // From near the face or from below the chest: small ways count too.
      low.hands[static_cast<std::size_t>(side)].raise = draws.uniform(0.0f, 0.35f);
      high.hands[static_cast<std::size_t>(side)].raise = 1;
      break;
    }
    case Channel::fingers:
      for (auto* pose : {&low, &high}) pose->hands[0].raise = pose->hands[1].raise = 0;
      low.fingers = draws.uniform(0, 0.25f) + std::max(0.0f, 0.4f * (1 - amplitude));
      high.fingers = 1;
      break;
    case Channel::lean:
      set(&Pose::lean, kLean, 1);
      break;
    case Channel::pitch:
      set(&Pose::pitch, kPitch, 1);
      break;
    case Channel::yaw:
      set(&Pose::yaw, kYaw, draws.sign());
      break;
    case Channel::shoulders:
      set(&Pose::shoulders, kShoulders, 1);
      break;
  }
  if (is_reversed(gesture)) std::swap(poses.first, poses.last);
  return poses;
}

}  // namespace mg::synth
