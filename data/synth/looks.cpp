#include "data/synth/looks.h"

#include <array>
#include <cmath>

namespace mg::synth {

namespace {

Color draw_cloth(Draws& draws) {
  const bool muted = draws.chance(0.35f);
  return from_hsv(draws.uniform(), muted ? draws.uniform(0, 0.2f) : draws.uniform(0.3f, 0.75f),
                  draws.uniform(0.2f, 0.85f));
}

void draw_colors(Draws& draws, Person& person) {
  static constexpr std::array<Color, 5> kSkins = {{{0.96f, 0.80f, 0.69f},
                                                   {0.89f, 0.70f, 0.55f},
                                                   {0.76f, 0.56f, 0.41f},
                                                   {0.57f, 0.39f, 0.27f},
                                                   {0.38f, 0.25f, 0.18f}}};
  static constexpr std::array<Color, 6> kHairs = {{{0.07f, 0.06f, 0.06f},
                                                   {0.20f, 0.13f, 0.08f},
                                                   {0.37f, 0.23f, 0.13f},
                                                   {0.72f, 0.55f, 0.30f},
                                                   {0.52f, 0.22f, 0.10f},
                                                   {0.62f, 0.61f, 0.60f}}};
  const float tone = draws.uniform(0, 3.999f);
  const auto lighter = static_cast<std::size_t>(tone);
  person.skin = mix(kSkins[lighter], kSkins[lighter + 1], tone - std::floor(tone));
  person.hair = kHairs[static_cast<std::size_t>(draws.integer(6))] * draws.uniform(0.85f, 1.15f);
  person.iris = from_hsv(draws.uniform(0.05f, 0.6f), draws.uniform(0.2f, 0.6f), draws.uniform(0.12f, 0.4f));
  person.lips = mix(person.skin * 0.75f, {0.70f, 0.20f, 0.22f}, draws.uniform(0.25f, 0.6f));
  person.cloth = draw_cloth(draws);
  person.cloth_second = draws.chance(0.4f) ? Color{0.9f, 0.9f, 0.88f} : draw_cloth(draws);
  person.inner = draws.chance(0.6f) ? Color{0.92f, 0.92f, 0.93f} : draw_cloth(draws);
}

void draw_window(Draws& draws, Canvas& wall) {
  const Vec2 size{draws.uniform(28, 46), draws.uniform(36, 60)};
  const float left = draws.uniform(-6, static_cast<float>(wall.width()) - size.x + 6),
              top = draws.uniform(4, 16);
  const std::array<Vec2, 4> corners = {
      {{left, top}, {left + size.x, top}, {left + size.x, top + size.y}, {left, top + size.y}}};
  wall.polygon(corners, 2, {.color = Color{0.93f, 0.93f, 0.92f} * draws.uniform(0.6f, 1)});
  const float bar = 3;
  const Color sky =
      from_hsv(draws.uniform(0.52f, 0.62f), draws.uniform(0.1f, 0.45f), draws.uniform(0.6f, 0.95f));
  for (const float x : {left + bar / 2, left + size.x / 2 + bar / 2}) {
    const float right = x + size.x / 2 - bar;
    const std::array<Vec2, 4> pane = {
        {{x, top + 2}, {right, top + 2}, {right, top + size.y - 2}, {x, top + size.y - 2}}};
    wall.polygon(pane, 0, {.color = sky, .rim = 0, .light_from = {x, top}, .light = {0, 0.006f}});
  }
}

void draw_pictures(Draws& draws, Canvas& wall) {
  for (int i = draws.integer(3); i >= 0; --i) {
    const Vec2 size{draws.uniform(14, 30), draws.uniform(12, 28)};
    const float left = draws.uniform(0, static_cast<float>(wall.width()) - size.x),
                top = draws.uniform(6, 40);
    auto frame = [&](float inset) -> std::array<Vec2, 4> {
      return {{{left + inset, top + inset},
               {left + size.x - inset, top + inset},
               {left + size.x - inset, top + size.y - inset},
               {left + inset, top + size.y - inset}}};
    };
    wall.polygon(frame(0), 0.5f,
                 {.color = from_hsv(draws.uniform(0.05f, 0.12f), 0.4f, draws.uniform(0.15f, 0.6f))});
    const Color ground = from_hsv(draws.uniform(), draws.uniform(0.1f, 0.5f), draws.uniform(0.4f, 0.9f));
    wall.polygon(frame(2), 0, {.color = ground, .rim = 0});
    wall.ellipse({left + size.x * draws.uniform(0.35f, 0.65f), top + size.y * draws.uniform(0.4f, 0.6f)},
                 size * draws.uniform(0.12f, 0.25f), 0,
                 {.color = from_hsv(draws.uniform(), 0.5f, draws.uniform(0.3f, 0.9f)), .rim = 0});
  }
}

void draw_shelf(Draws& draws, Canvas& wall) {
  const auto width = static_cast<float>(wall.width());
  const float depth = draws.uniform(30, 60), board = draws.uniform(30, 70);
  const float left = draws.chance(0.5f) ? -2.0f : width - depth + 2;
  const Color wood = from_hsv(draws.uniform(0.05f, 0.1f), 0.45f, draws.uniform(0.25f, 0.55f));
  for (float x = left + 1; x < left + depth - 3;) {
    const float thick = draws.uniform(2.5f, 5), high = draws.uniform(14, 22);
    const std::array<Vec2, 4> book = {
        {{x, board - high}, {x + thick - 0.7f, board - high}, {x + thick - 0.7f, board}, {x, board}}};
    wall.polygon(book, 0,
                 {.color = from_hsv(draws.uniform(), draws.uniform(0.2f, 0.7f), draws.uniform(0.25f, 0.8f))});
    x += thick;
  }
  wall.capsule({left, board + 1}, {left + depth, board + 1}, 1.6f, 1.6f, {.color = wood});
}

void draw_plant(Draws& draws, Canvas& wall) {
  const bool at_left = draws.chance(0.5f);
  const auto width = static_cast<float>(wall.width());
  const Vec2 foot{at_left ? draws.uniform(8, 24) : width - draws.uniform(8, 24), draws.uniform(92, 108)};
  const Color green =
      from_hsv(draws.uniform(0.22f, 0.42f), draws.uniform(0.35f, 0.7f), draws.uniform(0.25f, 0.6f));
  for (int leaf = 0; leaf < 9; ++leaf) {
    const float angle = (static_cast<float>(leaf) - 4) * 0.3f + draws.uniform(-0.1f, 0.1f);
    const float reach = draws.uniform(20, 38);
    const Vec2 tip = foot + rotated({0, -reach}, angle);
    wall.ellipse((foot + tip) * 0.5f, {reach * 0.13f, reach * 0.5f}, angle,
                 {.color = green * draws.uniform(0.7f, 1.2f)});
  }
  wall.capsule(foot, foot + Vec2{0, 16}, 7, 5,
               {.color = from_hsv(draws.uniform(0, 0.1f), 0.5f, draws.uniform(0.3f, 0.7f))});
}

}  // namespace

Person draw_person(std::uint64_t seed, std::string_view subject) {
  Draws draws(seed, subject, "person");
  Person person;
  person.size = draws.uniform(0.93f, 1.07f);
  person.head = {draws.uniform(13.4f, 15.4f), draws.uniform(17.0f, 19.2f)};
  person.neck = draws.uniform(6, 10);
  person.shoulder = draws.uniform(22.5f, 29);
  person.waist = person.shoulder * draws.uniform(0.68f, 0.88f);
  person.torso = draws.uniform(56, 62);
  person.arm = draws.uniform(30, 33);
  person.arm_radius = draws.uniform(4.4f, 6.2f);
  person.eye_spacing = draws.uniform(0.38f, 0.47f);
  person.eye_size = draws.uniform(0.85f, 1.2f);
  person.nose = draws.uniform(0.8f, 1.3f);
  person.mouth = draws.uniform(0.8f, 1.2f);
  draw_colors(draws, person);
  person.hair_style = static_cast<HairStyle>(draws.integer(6));
  person.glasses = draws.chance(0.3f);
  const bool short_haired = person.hair_style <= HairStyle::parted;
  person.beard = short_haired && draws.chance(0.4f);
  person.garment = static_cast<Garment>(draws.integer(4));
  person.pattern = draws.chance(0.45f) ? Pattern::plain : static_cast<Pattern>(1 + draws.integer(4));
  if (person.garment == Garment::jacket) person.pattern = Pattern::plain;
  person.pattern_period = draws.uniform(5, 11);
  person.long_sleeves = person.garment == Garment::jacket || draws.chance(0.6f);
  person.manner = {draws.uniform(0.85f, 1.2f), draws.integer(2)};
  person.tempo = {draws.uniform(0.85f, 1.2f), draws.uniform(0.6f, 1.3f)};
  return person;
}

Scene draw_scene(std::uint64_t seed, std::string_view recording) {
  Draws draws(seed, recording, "scene");
  Scene scene;
  scene.zoom = draws.uniform(0.97f, 1.08f);
  scene.seat = {80 + draws.uniform(-11, 11), 120 + draws.uniform(-3, 4)};
  scene.desk =
      from_hsv(draws.uniform(0.03f, 0.14f), draws.uniform(0.05f, 0.55f), draws.uniform(0.25f, 0.85f));
  scene.desk_edge = scene.seat.y - draws.uniform(11, 15);
  scene.chair = from_hsv(draws.uniform(), draws.uniform(0, 0.5f), draws.uniform(0.1f, 0.45f));
  scene.high_chair = draws.chance(0.5f);
  scene.exposure = draws.uniform(0.82f, 1.12f);
  scene.warmth = draws.uniform(-0.07f, 0.07f);
  scene.flicker = draws.uniform(0, 0.012f);
  scene.light = rotated({0, -1}, draws.uniform(-1.1f, 1.1f));
  scene.noise = draws.uniform(0.005f, 0.014f);
  scene.shake = draws.uniform(0.1f, 0.7f);
  return scene;
}

Canvas draw_wall(std::uint64_t seed, std::string_view recording, int width, int height) {
  Draws draws(seed, recording, "wall");
  Canvas wall(width + 2 * kMargin, height + 2 * kMargin);
  const auto w = static_cast<float>(wall.width()), h = static_cast<float>(wall.height());
  const Color paint = from_hsv(draws.uniform(), draws.uniform(0.03f, 0.38f), draws.uniform(0.35f, 0.85f));
  const std::array<Vec2, 4> whole = {{{-9, -9}, {w + 9, -9}, {w + 9, h + 9}, {-9, h + 9}}};
  Paint ground{.color = paint, .rim = 0, .light_from = {w / 2, h / 2}};
  ground.light = {draws.uniform(-0.003f, 0.003f), draws.uniform(-0.003f, 0.001f)};
  if (draws.chance(0.3f)) {
    ground.pattern = draws.chance(0.5f) ? Pattern::vertical_stripes : Pattern::horizontal_stripes;
    ground.second = paint * draws.uniform(0.85f, 1.12f);
    ground.period = draws.uniform(10, 26);
  }
  wall.polygon(whole, 0, ground);
  if (draws.chance(0.45f)) draw_window(draws, wall);
  if (draws.chance(0.5f)) draw_pictures(draws, wall);
  if (draws.chance(0.35f)) draw_shelf(draws, wall);
  if (draws.chance(0.4f)) draw_plant(draws, wall);
  if (draws.chance(0.4f)) {  // panelling
    const float top = draws.uniform(70, 90);
    const std::array<Vec2, 4> panel = {{{-9, top}, {w + 9, top}, {w + 9, h + 9}, {-9, h + 9}}};
    wall.polygon(panel, 0, {.color = paint * draws.uniform(0.6f, 0.8f), .alpha = 0.8f});
  }
  return wall;
}

}  // namespace mg::synth
