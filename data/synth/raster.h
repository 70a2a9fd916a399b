// A software rasteriser: shapes by their signed distance, whose half pixel about zero is the antialiased
// edge. Colours are linear in [0, 1] and lie interleaved as floats.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mg::synth {

struct Vec2 {
  float x = 0, y = 0;
  friend Vec2 operator+(Vec2 a, Vec2 b) { return {a.x + b.x, a.y + b.y}; }
  friend Vec2 operator-(Vec2 a, Vec2 b) { return {a.x - b.x, a.y - b.y}; }
  friend Vec2 operator*(Vec2 a, float k) { return {a.x * k, a.y * k}; }
};
inline float dot(Vec2 a, Vec2 b) { return a.x * b.x + a.y * b.y; }
float length(Vec2 a);
Vec2 rotated(Vec2 a, float angle);  // clockwise on the screen, where y points down

struct Color {
  float r = 0, g = 0, b = 0;
  friend Color operator*(Color c, float k) { return {c.r * k, c.g * k, c.b * k}; }
};
Color mix(Color a, Color b, float t);
Color from_hsv(float hue, float saturation, float value);  // hue in turns

enum class Pattern { plain, horizontal_stripes, vertical_stripes, checks, dots };

struct Paint {
  Color color;
  float alpha = 1;
  float rim = 0.2f;   // how much darker the last two pixels before the edge are: sets limbs off
  Vec2 light_from{};  // colour *= 1 + light . (p - light_from)
  Vec2 light{};       // per pixel
  Pattern pattern = Pattern::plain;
  Color second{};    // of the pattern
  Vec2 origin{};     // of the pattern, so that it moves with the body
  float period = 8;  // of the pattern, in pixels
};

class Canvas {
 public:
  Canvas(int width, int height);
  int width() const { return width_; }
  int height() const { return height_; }
  float* row(int y) { return data_.data() + static_cast<std::size_t>(y) * width_ * 3; }
  const float* row(int y) const { return data_.data() + static_cast<std::size_t>(y) * width_ * 3; }

  void clear(Color color);
  // A limb: two circles and what is between them.
  void capsule(Vec2 a, Vec2 b, float radius_a, float radius_b, const Paint& paint);
  void ellipse(Vec2 center, Vec2 radii, float angle, const Paint& paint);
  void ellipse_line(Vec2 center, Vec2 radii, float angle, float half_width, const Paint& paint);
  // Grown by radius, which rounds the corners. Points in either direction, at most 32.
  void polygon(std::span<const Vec2> points, float radius, const Paint& paint);

  // This canvas becomes source, cut out at offset (from its top left corner) with bilinear interpolation;
  // where that reaches beyond source, its edge is repeated.
  void copy_from(const Canvas& source, Vec2 offset);

 private:
  template <class Distance>
  void fill(Vec2 low, Vec2 high, const Paint& paint, Distance distance);

  int width_, height_;
  std::vector<float> data_;
};

}  // namespace mg::synth
