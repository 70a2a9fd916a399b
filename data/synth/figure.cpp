#include "data/synth/figure.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace mg::synth {

namespace {

constexpr float kFocal = 190;       // units from the camera to the seat
constexpr Vec2 kPrincipal{80, 52};  // where the camera looks, pixels

float length(Vec3 a) { return std::sqrt(dot(a, a)); }
Vec3 unit(Vec3 a) { return a * (1 / std::max(length(a), 1e-6f)); }
Vec3 blend(Vec3 a, Vec3 b, float t) { return a + (b - a) * t; }

// Two-bone inverse kinematics: the elbow between shoulder and wrist, bent towards pole. A wrist out of reach
// leaves the arm stretched.
Vec3 elbow_of(Vec3 shoulder, Vec3 wrist, float upper, float fore, Vec3 pole) {
  const Vec3 reach = wrist - shoulder;
  const float distance = std::clamp(length(reach), std::abs(upper - fore) + 0.01f, upper + fore);
  const Vec3 axis = unit(reach);
  const float along = (distance * distance + upper * upper - fore * fore) / (2 * distance);
  const float out = std::sqrt(std::max(0.0f, upper * upper - along * along));
  return shoulder + axis * along + unit(pole - axis * dot(pole, axis)) * out;
}

struct Arm {
  Vec3 shoulder, elbow, wrist;
  Vec2 pointing;  // of the fingers, on the screen
};

struct Skeleton {
  Vec3 up, side, neck, head, head_up;
  std::array<Arm, 2> arms;
};

Arm pose_arm(const Person& person, const Pose& pose, const Skeleton& body, int index) {
  const float sign = index == 0 ? -1.0f : 1.0f;
  const HandPose& hand = pose.hands[static_cast<std::size_t>(index)];
  Arm arm;
  arm.shoulder = body.neck + body.side * (sign * (person.shoulder - 3 - 0.12f * pose.shoulders)) +
                 body.up * (pose.shoulders - 5);
  // One hand a little in front of the other where the fingers cross.
  const Vec3 together{sign * 3.6f, -19 - 0.8f * sign, 25};
  const Vec3 down = blend(hand.desk, together, pose.fingers);
  const Vec3 face = body.head + hand.face;
  Vec3 target = blend(down, face, hand.raise);
  target.z += 22 * hand.raise * (1 - hand.raise);
  const Vec2 flat =
      Vec2{-sign * 0.75f, 0.5f} * (1 - pose.fingers) + Vec2{-sign * 0.95f, -0.25f} * pose.fingers;
  const Vec2 raised{-sign * 0.45f, -0.9f};
  const Vec2 pointing = flat * (1 - hand.raise) + raised * hand.raise;
  arm.pointing = pointing * (1 / std::max(synth::length(pointing), 0.1f));
  arm.wrist = target - Vec3{arm.pointing.x, arm.pointing.y, 0} * 4.0f;
  arm.elbow = elbow_of(arm.shoulder, arm.wrist, person.arm, person.arm * 0.93f,
                       {sign * 0.75f, 0.75f + 0.4f * hand.raise, 0.2f});
  return arm;
}

Skeleton pose_skeleton(const Person& person, const Pose& pose, const Life& life) {
  Skeleton body;
  const float lean = pose.lean, roll = pose.roll;
  body.up = {std::sin(roll) * std::cos(lean), -std::cos(roll) * std::cos(lean), std::sin(lean)};
  body.side = {std::cos(roll), std::sin(roll), 0};
  body.neck = body.up * (person.torso + 0.5f * life.breath);
  const float tilt = 0.5f * roll + pose.tilt, nod = 0.4f * lean + 0.35f * pose.pitch;
  body.head_up = {std::sin(tilt) * std::cos(nod), -std::cos(tilt) * std::cos(nod), std::sin(nod)};
  // The neck is behind the head's middle, so that a turned head goes to its side.
  body.head =
      body.neck + body.head_up * (person.neck + person.head.y - 2) + body.side * (2.0f * std::sin(pose.yaw));
  for (const int side : {0, 1})
    body.arms[static_cast<std::size_t>(side)] = pose_arm(person, pose, body, side);
  return body;
}

class BodyPainter {
 public:
  BodyPainter(Canvas& canvas, const Person& person, const Scene& scene, const Pose& pose, const Life& life,
              Vec2 shake)
      : canvas_(canvas),
        person_(person),
        scene_(scene),
        pose_(pose),
        life_(life),
        shake_(shake),
        unit_(scene.zoom * person.size),
        body_(pose_skeleton(person, pose, life)) {
    cloth_origin_ = see(body_.neck).at;
  }

  struct Seen {
    Vec2 at;
    float scale;
  };
  Seen see(Vec3 p) const {
    const float nearer = kFocal / (kFocal - p.z);
    const Vec2 flat = scene_.seat + Vec2{p.x, p.y} * unit_;
    return {kPrincipal + (flat - kPrincipal) * nearer + shake_, unit_ * nearer};
  }
  Paint paint(Color color, Vec2 around, float size, float strength = 0.22f) const {
    Paint result{.color = color, .rim = 0.3f, .light_from = around};
    result.light = scene_.light * (strength / size);
    return result;
  }
  Paint cloth(Vec2 around, float size) const {
    Paint result = paint(person_.cloth, around, size);
    result.pattern = person_.pattern;
    result.second = person_.cloth_second;
    result.origin = cloth_origin_;
    result.period = person_.pattern_period * unit_;
    return result;
  }
  HeadView head_view() const {
    const Seen head = see(body_.head);
    return {head.at, head.scale, pose_.yaw, pose_.pitch + 0.3f * pose_.lean, pose_.tilt + 0.5f * pose_.roll};
  }

  void chair() {
    const float high = scene_.high_chair ? 66.0f : 44.0f, half = person_.shoulder - 3;
    const std::array<Vec2, 4> back = {{see({-half, -high, -14}).at, see({half, -high, -14}).at,
                                       see({half + 2, 10, -14}).at, see({-half - 2, 10, -14}).at}};
    canvas_.polygon(back, 5, paint(scene_.chair, back[0], 90));
  }

  void torso() {
    const float sw = person_.shoulder, lift = pose_.shoulders, wide = 0.4f * life_.breath;
    auto at = [&](float side, float x, float up) { return see(body_.side * (side * x) + body_.up * up).at; };
    const float top = person_.torso;
    std::array<Vec2, 14> outline;
    std::size_t n = 0;
    auto half = [&](float side) {
      const std::array<Vec2, 7> points = {
          {at(side, 5.5f, top + 1.5f), at(side, sw * 0.52f, top - 1 + 0.5f * lift),
           at(side, sw - 5, top - 3.5f + lift), at(side, sw - 1.5f, top - 9 + lift),
           at(side, sw - 4 + wide, top - 24 + 0.3f * lift), at(side, person_.waist + wide, 16),
           at(side, person_.waist + 3, -14)}};
      return points;
    };
    for (const Vec2 p : half(1)) outline[n++] = p;
    const auto left = half(-1);
    for (auto p = left.rbegin(); p != left.rend(); ++p) outline[n++] = *p;
    canvas_.polygon(outline, 2.2f * unit_, cloth(see(body_.up * 40).at, 40));
  }

  void neck() {
    const Seen low = see(body_.neck + body_.up * -2),
               high = see(body_.head + body_.head_up * (-0.45f * person_.head.y));
    const float radius = 0.48f * person_.head.x;
    canvas_.capsule(low.at, high.at, radius * 1.08f * low.scale, radius * high.scale,
                    paint(person_.skin * 0.80f, low.at, 20));
  }

  void collar() {
    auto at = [&](float x, float up) { return see(body_.side * x + body_.up * (person_.torso + up)).at; };
    const Seen base = see(body_.neck);
    switch (person_.garment) {
      case Garment::crew_neck:
        canvas_.ellipse(at(0, 0.5f), Vec2{7, 3.4f} * base.scale, pose_.roll,
                        paint(person_.skin * 0.88f, base.at, 20));
        canvas_.ellipse_line(at(0, 0.5f), Vec2{7.4f, 3.8f} * base.scale, pose_.roll, 0.6f * unit_,
                             {.color = person_.cloth * 0.75f});
        break;
      case Garment::v_neck:
        v_opening(15, person_.skin * 0.9f);
        break;
      case Garment::shirt: {
        v_opening(9, person_.skin * 0.9f);
        for (const float side : {-1.0f, 1.0f}) {
          const std::array<Vec2, 4> flap = {
              {at(side * 5.5f, 4), at(side * 8.5f, 0.5f), at(side * 4.5f, -7.5f), at(side * 0.7f, -6)}};
          canvas_.polygon(flap, 0.4f, paint(mix(person_.cloth, {1, 1, 1}, 0.25f), base.at, 20));
        }
        for (const float down : {14.0f, 24.0f, 34.0f})
          canvas_.ellipse(at(0, -down), {0.9f, 0.9f}, 0, {.color = person_.cloth * 0.5f});
        break;
      }
      case Garment::jacket: {
        v_opening(30, person_.inner);
        v_opening(7, person_.skin * 0.9f);
        for (const float side : {-1.0f, 1.0f}) {
          const std::array<Vec2, 4> lapel = {
              {at(side * 6, 3), at(side * 12.5f, -6), at(side * 9, -12), at(side * 0.5f, -31)}};
          canvas_.polygon(lapel, 0.5f, paint(person_.cloth * 0.82f, base.at, 20));
        }
        break;
      }
    }
  }

  void upper_arm(const Arm& arm) {
    const Seen shoulder = see(arm.shoulder), elbow = see(arm.elbow);
    const float r = person_.arm_radius;
    Paint sleeve = cloth(shoulder.at, 14);
    if (person_.long_sleeves) {
      canvas_.capsule(shoulder.at, elbow.at, r * 1.25f * shoulder.scale, r * elbow.scale, sleeve);
      return;
    }
    canvas_.capsule(shoulder.at, elbow.at, r * 1.05f * shoulder.scale, r * 0.88f * elbow.scale,
                    paint(person_.skin, elbow.at, 14));
    const Vec2 hem = shoulder.at + (elbow.at - shoulder.at) * 0.55f;
    canvas_.capsule(shoulder.at, hem, r * 1.25f * shoulder.scale, r * 1.2f * shoulder.scale, sleeve);
  }

  void forearm(const Arm& arm) {
    const Seen elbow = see(arm.elbow), wrist = see(arm.wrist);
    const float r = person_.arm_radius;
    if (!person_.long_sleeves) {
      canvas_.capsule(elbow.at, wrist.at, r * 0.88f * elbow.scale, r * 0.55f * wrist.scale,
                      paint(person_.skin, elbow.at, 14));
      return;
    }
    const Vec2 cuff = elbow.at + (wrist.at - elbow.at) * 0.92f;
    canvas_.capsule(elbow.at, cuff, r * elbow.scale, r * 0.78f * wrist.scale, cloth(elbow.at, 14));
  }

  void hand(const Arm& arm, int index) {
    const Seen wrist = see(arm.wrist);
    const float s = wrist.scale, sign = index == 0 ? -1.0f : 1.0f;
    const Vec2 along = arm.pointing, across = {-along.y, along.x};
    const Paint skin = paint(person_.skin, wrist.at + along * 5, 9, 0.16f);
    const Vec2 knuckles = wrist.at + along * (5.2f * s);
    canvas_.capsule(wrist.at, knuckles, 2.5f * s, 3.5f * s, skin);
    const Vec2 thumb = wrist.at + along * (2.0f * s) + across * (sign * -3.0f * s);
    canvas_.capsule(thumb, thumb + (along + across * (sign * -0.35f)) * (4.2f * s), 1.25f * s, 1.0f * s,
                    skin);
    const float wiggle = life_.wiggle[static_cast<std::size_t>(index)];
    for (int finger = 0; finger < 4; ++finger) {
      const float off = static_cast<float>(finger) - 1.5f;
      const Vec2 root = knuckles + across * (off * 1.75f * s);
      const Vec2 direction = rotated(along, off * 0.10f + wiggle * (off * 0.3f + 0.5f));
      canvas_.capsule(root, root + direction * ((finger == 0 || finger == 3 ? 4.4f : 5.4f) * s), 1.15f * s,
                      0.95f * s, skin);
    }
  }

  void desk() {
    const float y = scene_.desk_edge + shake_.y, bottom = static_cast<float>(canvas_.height()) + 8;
    const auto right = static_cast<float>(canvas_.width()) + 12;
    const std::array<Vec2, 4> top = {{{-12, y}, {right, y}, {right, bottom}, {-12, bottom}}};
    Paint wood{.color = scene_.desk, .rim = 0.35f, .light_from = {80, y}};
    wood.light = {0.001f * scene_.light.x, 0.008f};
    canvas_.polygon(top, 0, wood);
  }

  void all() {
    chair();
    draw_hair_behind(canvas_, person_, head_view());
    torso();
    // A round collar goes behind the neck, the others lie on it.
    const bool round_collar = person_.garment == Garment::crew_neck;
    if (round_collar) collar();
    neck();
    if (!round_collar) collar();
    for (const Arm& arm : body_.arms) upper_arm(arm);
    draw_head(canvas_, person_, scene_, head_view(), life_);
    desk();
    for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
      forearm(body_.arms[side]);
      hand(body_.arms[side], static_cast<int>(side));
    }
  }

 private:
  void v_opening(float depth, Color color) {
    auto at = [&](float x, float up) { return see(body_.side * x + body_.up * (person_.torso + up)).at; };
    const std::array<Vec2, 3> triangle = {{at(-6, 2.5f), at(6, 2.5f), at(0, -depth)}};
    Paint p = paint(color, triangle[2], 30);
    p.rim = 0.15f;
    canvas_.polygon(triangle, 0.5f, p);
  }

  Canvas& canvas_;
  const Person& person_;
  const Scene& scene_;
  const Pose& pose_;
  const Life& life_;
  Vec2 shake_;
  float unit_;  // pixels a unit at the seat
  Skeleton body_;
  Vec2 cloth_origin_;
};

}  // namespace

void draw_figure(Canvas& canvas, const Person& person, const Scene& scene, const Pose& pose, const Life& life,
                 Vec2 shake) {
  BodyPainter(canvas, person, scene, pose, life, shake).all();
}

}  // namespace mg::synth
