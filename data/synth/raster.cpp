#include "data/synth/raster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "engine/error.h"

namespace mg::synth {

namespace {

constexpr float kRimWidth = 2.2f;
constexpr std::size_t kMaxPoints = 32;

float fraction(float x) { return x - std::floor(x); }

// How much of the second colour point p (from the pattern's origin, in periods) has.
float pattern_weight(Pattern pattern, Vec2 p) {
  switch (pattern) {
    case Pattern::horizontal_stripes:
      return fraction(p.y) < 0.45f ? 1.0f : 0.0f;
    case Pattern::vertical_stripes:
      return fraction(p.x) < 0.35f ? 1.0f : 0.0f;
    case Pattern::checks:
      return 0.5f * ((fraction(p.x) < 0.5f) + (fraction(p.y) < 0.5f));
    case Pattern::dots: {
      const Vec2 q{fraction(p.x + 0.5f * (static_cast<int>(std::floor(p.y)) & 1)) - 0.5f,
                   fraction(p.y) - 0.5f};
      return dot(q, q) < 0.06f ? 1.0f : 0.0f;
    }
    case Pattern::plain:
      break;
  }
  return 0;
}

// Inigo Quilez's approximation of the distance to an ellipse: exact at the edge to first order.
float ellipse_distance(Vec2 p, Vec2 radii) {
  const Vec2 q{p.x / radii.x, p.y / radii.y};
  const float k0 = length(q);
  const float k1 = length({q.x / radii.x, q.y / radii.y});
  return k1 > 1e-6f ? k0 * (k0 - 1) / k1 : -std::min(radii.x, radii.y);
}

}  // namespace

float length(Vec2 a) { return std::sqrt(dot(a, a)); }

Vec2 rotated(Vec2 a, float angle) {
  const float c = std::cos(angle), s = std::sin(angle);
  return {c * a.x - s * a.y, s * a.x + c * a.y};
}

Color mix(Color a, Color b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

Color from_hsv(float hue, float saturation, float value) {
  auto channel = [&](float turn) {
    const float k = std::abs(fraction(hue + turn) * 6 - 3) - 1;
    return value * (1 + saturation * (std::clamp(k, 0.0f, 1.0f) - 1));
  };
  return {channel(0), channel(2.0f / 3), channel(1.0f / 3)};
}

Canvas::Canvas(int width, int height)
    : width_(width), height_(height), data_(static_cast<std::size_t>(width) * height * 3) {}

void Canvas::clear(Color color) {
  for (std::size_t i = 0; i < data_.size(); i += 3) {
    data_[i] = color.r;
    data_[i + 1] = color.g;
    data_[i + 2] = color.b;
  }
}

template <class Distance>
void Canvas::fill(Vec2 low, Vec2 high, const Paint& paint, Distance distance) {
  const int left = std::max(0, static_cast<int>(std::floor(low.x - 1)));
  const int right = std::min(width_ - 1, static_cast<int>(std::ceil(high.x + 1)));
  const int top = std::max(0, static_cast<int>(std::floor(low.y - 1)));
  const int bottom = std::min(height_ - 1, static_cast<int>(std::ceil(high.y + 1)));
  for (int y = top; y <= bottom; ++y) {
    float* pixel = row(y) + static_cast<std::ptrdiff_t>(left) * 3;
    for (int x = left; x <= right; ++x, pixel += 3) {
      const Vec2 p{static_cast<float>(x) + 0.5f, static_cast<float>(y) + 0.5f};
      const float d = distance(p);
      if (d >= 0.5f) continue;
      const float alpha = paint.alpha * std::min(1.0f, 0.5f - d);
      const float edge = std::clamp((d + kRimWidth) / kRimWidth, 0.0f, 1.0f);
      const float shade = (1 + dot(paint.light, p - paint.light_from)) * (1 - paint.rim * edge * edge);
      Color c = paint.color;
      if (paint.pattern != Pattern::plain) {
        c = mix(c, paint.second, pattern_weight(paint.pattern, (p - paint.origin) * (1 / paint.period)));
      }
      pixel[0] += (c.r * shade - pixel[0]) * alpha;
      pixel[1] += (c.g * shade - pixel[1]) * alpha;
      pixel[2] += (c.b * shade - pixel[2]) * alpha;
    }
  }
}

void Canvas::capsule(Vec2 a, Vec2 b, float radius_a, float radius_b, const Paint& paint) {
  const float reach = std::max(radius_a, radius_b);
  const Vec2 axis = b - a;
  const float inverse = 1 / std::max(dot(axis, axis), 1e-6f);
  fill({std::min(a.x, b.x) - reach, std::min(a.y, b.y) - reach},
       {std::max(a.x, b.x) + reach, std::max(a.y, b.y) + reach}, paint, [&](Vec2 p) {
         const float t = std::clamp(dot(p - a, axis) * inverse, 0.0f, 1.0f);
         return length(p - a - axis * t) - (radius_a + (radius_b - radius_a) * t);
       });
}

void Canvas::ellipse(Vec2 center, Vec2 radii, float angle, const Paint& paint) {
  if (radii.x < 0.05f || radii.y < 0.05f) return;
  const float reach = std::max(radii.x, radii.y);
  const float c = std::cos(angle), s = std::sin(angle);
  fill(center - Vec2{reach, reach}, center + Vec2{reach, reach}, paint, [&](Vec2 p) {
    const Vec2 q = p - center;
    return ellipse_distance({c * q.x + s * q.y, c * q.y - s * q.x}, radii);
  });
}

void Canvas::ellipse_line(Vec2 center, Vec2 radii, float angle, float half_width, const Paint& paint) {
  if (radii.x < 0.05f || radii.y < 0.05f) return;
  const float reach = std::max(radii.x, radii.y) + half_width;
  const float c = std::cos(angle), s = std::sin(angle);
  fill(center - Vec2{reach, reach}, center + Vec2{reach, reach}, paint, [&](Vec2 p) {
    const Vec2 q = p - center;
    return std::abs(ellipse_distance({c * q.x + s * q.y, c * q.y - s * q.x}, radii)) - half_width;
  });
}

void Canvas::polygon(std::span<const Vec2> points, float radius, const Paint& paint) {
  expect(points.size() >= 3 && points.size() <= kMaxPoints, "polygon: expected 3 to {} points, got {}",
         kMaxPoints, points.size());
  Vec2 low = points[0], high = points[0];
  std::array<Vec2, kMaxPoints> edge;
  std::array<float, kMaxPoints> inverse;
  for (std::size_t i = 0; i < points.size(); ++i) {
    low = {std::min(low.x, points[i].x), std::min(low.y, points[i].y)};
    high = {std::max(high.x, points[i].x), std::max(high.y, points[i].y)};
    edge[i] = points[(i + 1) % points.size()] - points[i];
    inverse[i] = 1 / std::max(dot(edge[i], edge[i]), 1e-6f);
  }
  const Vec2 margin{radius, radius};
  fill(low - margin, high + margin, paint, [&](Vec2 p) {
    float nearest = std::numeric_limits<float>::max();
    bool inside = false;
    for (std::size_t i = 0; i < points.size(); ++i) {
      const Vec2 q = p - points[i];
      const Vec2 off = q - edge[i] * std::clamp(dot(q, edge[i]) * inverse[i], 0.0f, 1.0f);
      nearest = std::min(nearest, dot(off, off));
      // The ray from p to the right crosses this edge.
      if ((q.y < 0) != (q.y - edge[i].y < 0) && (q.x * edge[i].y - q.y * edge[i].x < 0) == (edge[i].y > 0)) {
        inside = !inside;
      }
    }
    return (inside ? -std::sqrt(nearest) : std::sqrt(nearest)) - radius;
  });
}

void Canvas::copy_from(const Canvas& source, Vec2 offset) {
  const float left = std::floor(offset.x), top = std::floor(offset.y);
  const float fx = offset.x - left, fy = offset.y - top;
  const float weight[4] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
  for (int y = 0; y < height_; ++y) {
    const int source_y = y + static_cast<int>(top);
    const float* upper = source.row(std::clamp(source_y, 0, source.height_ - 1));
    const float* lower = source.row(std::clamp(source_y + 1, 0, source.height_ - 1));
    float* out = row(y);
    for (int x = 0; x < width_; ++x) {
      const int source_x = x + static_cast<int>(left);
      const int x0 = 3 * std::clamp(source_x, 0, source.width_ - 1);
      const int x1 = 3 * std::clamp(source_x + 1, 0, source.width_ - 1);
      for (int c = 0; c < 3; ++c) {
        out[3 * x + c] = weight[0] * upper[x0 + c] + weight[1] * upper[x1 + c] + weight[2] * lower[x0 + c] +
                         weight[3] * lower[x1 + c];
      }
    }
  }
}

}  // namespace mg::synth
