#include "data/synth/motion.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mg::synth {

namespace {

constexpr int kQuiet = 4;   // frames before and after each gesture without a change of posture
constexpr int kJitter = 3;  // frames an annotator is off, at most

// Minimum jerk: from 0 to 1, at rest at both ends, the same backwards.
float ease(float t) {
  t = std::clamp(t, 0.0f, 1.0f);
  return t * t * t * (t * (t * 6 - 15) + 10);
}

float skewed(float t, float skew) {
  t = std::clamp(t, 0.0f, 1.0f);
  // Above 1 the slow part comes first; its mirror image below 1 makes both directions of a gesture equal.
  return skew >= 1 ? std::pow(t, skew) : 1 - std::pow(1 - t, 1 / skew);
}

float blend(float a, float b, float t) { return a + (b - a) * t; }
Vec3 blend(Vec3 a, Vec3 b, float t) { return a + (b - a) * t; }
HandPose blend(const HandPose& a, const HandPose& b, float t) {
  return {blend(a.desk, b.desk, t), blend(a.face, b.face, t), blend(a.raise, b.raise, t)};
}

// 0 outside of an event, 1 in its middle.
float bump(float frame, float start, float end) {
  const float t = (frame - start) / (end - start);
  return t <= 0 || t >= 1 ? 0 : ease(1 - std::abs(2 * t - 1));
}

enum Fidget { kTiltLeft, kTiltRight, kSway, kLeftFingers, kRightFingers, kBrows, kFidgets };

}  // namespace

Motion::Motion(std::uint64_t seed, std::string_view name, std::span<const int> gestures, const Manner& manner,
               const Tempo& tempo) {
  draw_ways(seed, name, gestures, manner, tempo);
  draw_life(seed, name, tempo);
}

void Motion::draw_ways(std::uint64_t seed, std::string_view name, std::span<const int> gestures,
                       const Manner& manner, const Tempo& tempo) {
  Pose pose;
  for (std::size_t i = 0; i < gestures.size(); ++i) {
    Draws draws(seed, name, "gesture", static_cast<std::uint32_t>(i));
    const Pose posture = draw_posture(draws, manner);
    const GesturePoses poses = draw_gesture(gestures[i], posture, draws, manner);
    add_gap(draws, i == 0 ? poses.first : pose, poses.first);

    const float drawn = 26 / tempo.speed * std::exp(0.16f * draws.normal());
    const int length = static_cast<int>(std::lround(std::clamp(drawn, 17.0f, 39.0f)));
    const auto start = static_cast<float>(frames_);
    Way way{poses.first, poses.last, {}, {}, std::exp(0.2f * draws.normal())};
    way.start.fill(start);
    way.end.fill(start + static_cast<float>(length - 1));
    ways_.push_back(way);
    way_starts_.push_back(frames_);
    GestureSpan span{gestures[i], frames_, frames_ + length - 1, 0, 0};
    span.annotated_first = span.first + draws.integer(2 * kJitter + 1) - kJitter;
    span.annotated_last = span.last + draws.integer(2 * kJitter + 1) - kJitter;
    // 16 to 40 frames whatever the jitter.
    span.annotated_last =
        std::clamp(span.annotated_last, span.annotated_first + 15, span.annotated_first + 39);
    gestures_.push_back(span);
    frames_ += length;
    pose = poses.last;
  }
  Draws draws(seed, name, "end");
  add_gap(draws, pose, pose);
}

void Motion::add_gap(Draws& draws, const Pose& from, const Pose& to) {
  const int length = 2 * kQuiet + 11 + draws.integer(10);
  const float low = static_cast<float>(frames_ + kQuiet),
              high = static_cast<float>(frames_ + length - kQuiet - 1);
  Way way{from, to, {}, {}, 1};
  for (std::size_t part = 0; part < kParts; ++part) {
    const float room = high - low, used = room * draws.uniform(0.85f, 1);
    way.start[part] = low + (room - used) * draws.uniform();
    way.end[part] = way.start[part] + used;
  }
  ways_.push_back(way);
  way_starts_.push_back(frames_);
  frames_ += length;
}

Pose Motion::pose_at(int frame) const {
  const auto next = std::upper_bound(way_starts_.begin(), way_starts_.end(), frame);
  const Way& way = ways_[static_cast<std::size_t>(next - way_starts_.begin() - 1)];
  const auto now = static_cast<float>(frame);
  std::array<float, kParts> t;
  for (std::size_t part = 0; part < kParts; ++part) {
    t[part] = ease(skewed((now - way.start[part]) / (way.end[part] - way.start[part]), way.skew));
  }
  Pose pose;
  pose.lean = blend(way.from.lean, way.to.lean, t[kTorso]);
  pose.roll = blend(way.from.roll, way.to.roll, t[kTorso]);
  pose.shoulders = blend(way.from.shoulders, way.to.shoulders, t[kTorso]);
  pose.yaw = blend(way.from.yaw, way.to.yaw, t[kHead]);
  pose.pitch = blend(way.from.pitch, way.to.pitch, t[kHead]);
  pose.tilt = blend(way.from.tilt, way.to.tilt, t[kHead]);
  pose.fingers = blend(way.from.fingers, way.to.fingers, 0.5f * (t[kLeftHand] + t[kRightHand]));
  pose.hands[0] = blend(way.from.hands[0], way.to.hands[0], t[kLeftHand]);
  pose.hands[1] = blend(way.from.hands[1], way.to.hands[1], t[kRightHand]);

  auto wave = [&](std::size_t i) { return waves_[2 * i].at(now) + waves_[2 * i + 1].at(now); };
  pose.roll += wave(0);
  pose.yaw += wave(1);
  pose.pitch += wave(2);
  pose.tilt += wave(3);
  pose.lean += wave(4);
  for (const Event& e : fidgets_) {
    const float size = e.size * bump(now, e.start, e.end);
    if (e.kind == kTiltLeft) pose.tilt -= 0.16f * size;
    if (e.kind == kTiltRight) pose.tilt += 0.16f * size;
    if (e.kind == kSway) pose.roll += 0.06f * size;
  }
  return pose;
}

float Motion::Wave::at(float frame) const {
  return size * std::sin(2 * std::numbers::pi_v<float> * (cycles_per_frame * frame + phase));
}

void Motion::draw_life(std::uint64_t seed, std::string_view name, const Tempo& tempo) {
  Draws draws(seed, name, "life");
  constexpr float kSizes[] = {0.012f, 0.03f, 0.022f, 0.02f, 0.010f};
  for (const float size : kSizes) {
    for (const float seconds : {draws.uniform(2.5f, 4), draws.uniform(5, 9)}) {
      waves_.push_back(
          {size * tempo.liveliness * draws.uniform(0.6f, 1.2f), 1 / (kFps * seconds), draws.uniform()});
    }
  }
  waves_.push_back({1, 1 / (kFps * draws.uniform(2.8f, 4.5f)), draws.uniform()});

  const auto end = static_cast<float>(frames_);
  // Events of one kind, one after the other: lasting and pausing for so many frames.
  auto fill = [&](std::vector<Event>& events, float shortest, float longest, float pause, int kinds) {
    for (float now = pause * draws.uniform(); now < end;) {
      const float length = draws.uniform(shortest, longest);
      events.push_back({now, now + length, draws.uniform(0.5f, 1), draws.integer(kinds)});
      now += length + pause * draws.uniform(0.4f, 1.6f);
    }
  };
  fill(blinks_, 4, 7, 70, 1);
  fill(glances_, 10, 50, 40, 4);
  fill(fidgets_, 14, 34, 45 / tempo.liveliness, kFidgets);
  fill(words_, 5, 11, draws.chance(0.5f) ? 5.0f : 90.0f, 1);
}

Life Motion::life_at(int frame) const {
  const auto now = static_cast<float>(frame);
  Life life;
  life.breath = waves_.back().at(now);
  for (const Event& e : blinks_) life.eyelids -= std::min(1.0f, 1.6f * bump(now, e.start, e.end));
  life.eyelids = std::max(0.0f, life.eyelids);
  for (const Event& e : glances_) {
    const float size = e.size * std::min(1.0f, 4 * bump(now, e.start, e.end));
    if (e.kind == 0) life.gaze_x += size;
    if (e.kind == 1) life.gaze_x -= size;
    if (e.kind == 2) life.gaze_y += 0.6f * size;
    if (e.kind == 3) life.gaze_y -= 0.4f * size;
  }
  for (const Event& e : words_) life.mouth = std::max(life.mouth, e.size * bump(now, e.start, e.end));
  for (const Event& e : fidgets_) {
    const float size = e.size * bump(now, e.start, e.end);
    if (e.kind == kBrows) life.brows += 1.2f * size;
    for (const int side : {0, 1}) {
      if (e.kind == kLeftFingers + side)
        life.wiggle[static_cast<std::size_t>(side)] += 0.5f * size * std::sin(now);
    }
  }
  return life;
}

}  // namespace mg::synth
