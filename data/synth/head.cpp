#include <algorithm>
#include <array>
#include <cmath>

#include "data/synth/figure.h"

namespace mg::synth {

namespace {

// Draws in the head's own frame: units from its centre, x to its side, y to the chin.
class HeadPainter {
 public:
  HeadPainter(Canvas& canvas, const Person& person, const Scene& scene, const HeadView& view)
      : canvas_(canvas), person_(person), scene_(scene), view_(view) {}

  Vec2 place(Vec2 local) const { return view_.center + rotated(local * view_.scale, view_.angle); }
  // A point of the face by its angles from the tip of the nose, as far as the head's turn leaves it in sight.
  struct Spot {
    Vec2 local;
    float narrow;  // how much narrower things are there
  };
  Spot spot(float azimuth, float elevation, float out = 1) const {
    const float a = azimuth + view_.yaw, e = elevation + view_.pitch;
    return {{person_.head.x * 0.95f * out * std::sin(a) * std::cos(e),
             person_.head.y * 0.95f * out * std::sin(e)},
            std::max(0.0f, std::cos(a))};
  }
  Paint paint(Color color, float rim = 0.2f) const {
    Paint result{.color = color, .rim = rim, .light_from = view_.center};
    result.light = scene_.light * (0.22f / (person_.head.y * view_.scale));
    return result;
  }
  Paint flat(Color color, float alpha = 1) const { return {.color = color, .alpha = alpha, .rim = 0}; }

  void ellipse(Vec2 local, Vec2 radii, const Paint& p, float angle = 0) {
    canvas_.ellipse(place(local), radii * view_.scale, view_.angle + angle, p);
  }
  void ring(Vec2 local, Vec2 radii, float half_width, const Paint& p) {
    canvas_.ellipse_line(place(local), radii * view_.scale, view_.angle, half_width * view_.scale, p);
  }
  void line(Vec2 a, Vec2 b, float radius, const Paint& p) {
    canvas_.capsule(place(a), place(b), radius * view_.scale, radius * view_.scale, p);
  }

  void skull() {
    const Vec2 head = person_.head;
    const float turn = std::sin(view_.yaw);
    for (const float side : {-1.0f, 1.0f}) {
      ellipse({side * head.x * 0.98f * std::cos(view_.yaw) - 0.2f * turn * head.x, 1.5f - 3 * view_.pitch},
              {2.4f, 3.8f}, paint(person_.skin * 0.92f));
    }
    const bool bald = person_.hair_style == HairStyle::bald;
    ellipse({-0.06f * turn * head.x, -0.8f}, {head.x * 1.03f, head.y},
            paint(bald ? person_.skin : person_.hair));
    if (person_.hair_style == HairStyle::bun) {
      ellipse({-0.5f * turn * head.x, -head.y * 1.05f + 3 * view_.pitch}, {5.5f, 4.6f}, paint(person_.hair));
    }
    ellipse(
        {0.32f * turn * head.x, (0.13f + 0.3f * view_.pitch) * head.y},
        {head.x * (0.93f - 0.05f * std::abs(turn)), head.y * (0.87f - 0.1f * std::max(0.0f, view_.pitch))},
        paint(person_.skin, 0.14f));
  }

  void beard() {
    const Spot chin = spot(0, 0.72f, 0.9f);
    Paint p = paint(mix(person_.skin, person_.hair, 0.75f), 0.1f);
    ellipse(chin.local + Vec2{0, -0.5f}, {person_.head.x * 0.66f, person_.head.y * 0.36f}, p);
    ellipse(spot(0, 0.27f, 0.9f).local, {person_.head.x * 0.60f, person_.head.y * 0.22f},
            paint(person_.skin, 0));
  }

  void fringe() {
    const Vec2 head = person_.head;
    const float turn = std::sin(view_.yaw), low = (-0.66f + 0.3f * view_.pitch) * head.y;
    const float x = 0.32f * turn * head.x;
    switch (person_.hair_style) {
      case HairStyle::bald:
        break;
      case HairStyle::cropped:
      case HairStyle::bun:
        ellipse({x, low - 2}, {head.x * 0.74f, head.y * 0.20f}, paint(person_.hair, 0));
        break;
      case HairStyle::parted:
        ellipse({x - 0.25f * head.x, low}, {head.x * 0.62f, head.y * 0.24f}, paint(person_.hair, 0), -0.25f);
        ellipse({x + 0.45f * head.x, low - 0.5f}, {head.x * 0.40f, head.y * 0.20f}, paint(person_.hair, 0),
                0.5f);
        break;
      case HairStyle::bob:
        ellipse({x, low + 1}, {head.x * 0.80f, head.y * 0.27f}, paint(person_.hair, 0));
        break;
      case HairStyle::long_hair:
        for (const float side : {-1.0f, 1.0f}) {
          ellipse({x + side * 0.52f * head.x, low + 1}, {head.x * 0.52f, head.y * 0.27f},
                  paint(person_.hair, 0), side * 0.55f);
        }
        break;
    }
  }

  void eye(float side, const Life& life) {
    const Spot at = spot(side * person_.eye_spacing, -0.03f);
    if (at.narrow < 0.12f) return;
    const float size = person_.eye_size, open = life.eyelids * (1 - 0.5f * std::max(0.0f, view_.pitch));
    const Vec2 radii{2.7f * size * at.narrow, 1.75f * size};
    ellipse(at.local, radii + Vec2{0.5f, 0.6f}, flat(person_.skin * 0.72f, 0.7f));
    if (open > 0.25f) {
      ellipse(at.local, {radii.x, radii.y * open}, flat({0.95f, 0.95f, 0.94f}));
      const Vec2 pupil =
          at.local + Vec2{(0.9f * life.gaze_x + 0.3f * view_.yaw) * at.narrow, 0.6f * life.gaze_y};
      ellipse(pupil, {1.35f * size * at.narrow, 1.45f * size * open}, flat(person_.iris));
    }
    line(at.local + Vec2{-radii.x, -radii.y * open}, at.local + Vec2{radii.x, -radii.y * open}, 0.4f,
         flat(person_.hair * 0.6f, 0.8f));
    const Spot brow = spot(side * person_.eye_spacing, -0.27f - 0.06f * life.brows);
    line(brow.local + Vec2{-2.7f * brow.narrow, side * -0.35f},
         brow.local + Vec2{2.7f * brow.narrow, side * 0.35f}, 0.6f,
         flat(mix(person_.hair * 0.8f, person_.skin, 0.15f)));
    if (person_.glasses)
      ring(at.local, {4.3f * std::max(0.35f, at.narrow), 3.6f}, 0.45f, flat({0.10f, 0.10f, 0.12f}));
  }

  void nose() {
    const Spot bridge = spot(0, -0.02f, 1), tip = spot(0, 0.26f, 1.14f);
    const float away = view_.yaw >= 0 ? 1.0f : -1.0f;
    line(bridge.local, tip.local, 1.15f * person_.nose, flat(person_.skin * 1.05f));
    line(bridge.local + Vec2{-away * 1.2f, 1}, tip.local + Vec2{-away * 1.6f * person_.nose, 0}, 0.5f,
         flat(person_.skin * 0.72f, 0.6f));
    ellipse(tip.local + Vec2{0, 0.8f}, {1.9f * person_.nose, 0.8f}, flat(person_.skin * 0.70f, 0.75f));
  }

  void mouth(const Life& life) {
    const float half = 0.28f * person_.mouth;
    const Spot left = spot(-half, 0.53f), right = spot(half, 0.53f), middle = spot(0, 0.57f, 1.02f);
    if (life.mouth > 0.1f) {
      ellipse(middle.local, {3.0f * person_.mouth * middle.narrow, 0.7f + 1.6f * life.mouth},
              flat({0.25f, 0.08f, 0.08f}));
    }
    const Vec2 open{0, 1.4f * life.mouth};
    for (const Vec2 lip : {middle.local - open * 0.6f, middle.local + open + Vec2{0, 0.5f}}) {
      line(left.local, lip, 0.65f, flat(person_.lips));
      line(lip, right.local, 0.65f, flat(person_.lips));
    }
  }

 private:
  Canvas& canvas_;
  const Person& person_;
  const Scene& scene_;
  const HeadView& view_;
};

}  // namespace

void draw_hair_behind(Canvas& canvas, const Person& person, const HeadView& view) {
  const Paint hair{.color = person.hair * 0.85f, .rim = 0.25f};
  const float turn = std::sin(view.yaw);
  auto place = [&](Vec2 local) { return view.center + rotated(local * view.scale, view.angle); };
  const Vec2 head = person.head * view.scale;
  if (person.hair_style == HairStyle::bob) {
    canvas.ellipse(place({-1.5f * turn, 2.5f}), {head.x * 1.22f, head.y * 1.05f}, view.angle, hair);
  } else if (person.hair_style == HairStyle::long_hair) {
    for (const float side : {-1.0f, 1.0f}) {
      canvas.capsule(place({side * 8 - 2 * turn, -4}), place({side * 13 - 1.5f * turn, 27}), head.x * 0.62f,
                     head.x * 0.36f, hair);
    }
  }
}

void draw_head(Canvas& canvas, const Person& person, const Scene& scene, const HeadView& view,
               const Life& life) {
  HeadPainter painter(canvas, person, scene, view);
  painter.skull();
  if (person.beard) painter.beard();
  painter.fringe();
  // The far eye first, so that the nose and the near one cover it.
  const float far_side = view.yaw > 0 ? 1.0f : -1.0f;
  painter.eye(far_side, life);
  painter.eye(-far_side, life);
  painter.nose();
  painter.mouth(life);
}

}  // namespace mg::synth
