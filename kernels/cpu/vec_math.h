// exp, erf, sigmoid and the activations on vectors of fp32, accurate to a few ulp (polynomials fitted by
// Chebyshev interpolation). Included once per instruction set, after kernels/cpu/isa.h.
#pragma once

#include "kernels/epilogue.h"

namespace mg::MG_ISA {

typedef std::int32_t IntVec __attribute__((vector_size(kVectorFloats * sizeof(std::int32_t)), may_alias));

inline Vec load(const float* p) { return *reinterpret_cast<const Vec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }
inline Vec splat(float v) { return v - Vec{}; }
inline Vec select(IntVec mask, Vec yes, Vec no) {
  return reinterpret_cast<Vec>((mask & reinterpret_cast<IntVec>(yes)) |
                               (~mask & reinterpret_cast<IntVec>(no)));
}
inline Vec vmax(Vec a, Vec b) { return a > b ? a : b; }  // b where either is NaN
inline Vec vmin(Vec a, Vec b) { return a < b ? a : b; }
// max(x, 0); NaN stays NaN, so that a network that diverged is seen to have.
inline Vec vrelu(Vec x) { return vmax(Vec{}, x); }
// dy where ReLU let through, by its input or its output; also where that is NaN.
inline Vec vrelu_gradient(Vec dy, Vec x_or_y) { return select(x_or_y <= Vec{}, Vec{}, dy); }

// The first count (< kVectorFloats) floats, zeros after them.
inline Vec load_part(const float* p, std::int64_t count) {
  alignas(64) float lanes[kVectorFloats] = {};
  for (std::int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load(lanes);
}
inline void store_part(float* p, Vec v, std::int64_t count) {
  alignas(64) float lanes[kVectorFloats];
  store(lanes, v);
  for (std::int64_t i = 0; i < count; ++i) p[i] = lanes[i];
}

// Reads and writes whole vectors, or the first count lanes of the last one of a row.
struct WholeLanes {
  Vec load(const float* p) const { return MG_ISA::load(p); }
  void store(float* p, Vec v) const { MG_ISA::store(p, v); }
};
struct PartLanes {
  std::int64_t count;
  Vec load(const float* p) const { return load_part(p, count); }
  void store(float* p, Vec v) const { store_part(p, v, count); }
};

// Calls f(c, lanes) for each vector of a row of channels.
template <class F>
inline void for_each_vector(std::int64_t channels, F f) {
  std::int64_t c = 0;
  for (; c + kVectorFloats <= channels; c += kVectorFloats) f(c, WholeLanes{});
  if (c < channels) f(c, PartLanes{channels - c});
}

// Lanes summed in a fixed order.
inline float sum_lanes(Vec v) {
  alignas(64) float lanes[kVectorFloats];
  store(lanes, v);
  for (int width = kVectorFloats / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// Below -87.3 the result is 0, above 88.7 infinity; NaN stays NaN.
inline Vec vexp(Vec x) {
  constexpr float kLog2e = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  const Vec clamped = vmax(vmin(x, splat(88.8f)), splat(-87.4f));
  const Vec shifted = clamped * kLog2e + 12582912.0f;  // 1.5 * 2^23: rounds to the nearest integer
  const Vec n = shifted - 12582912.0f;
  const Vec r = (clamped - n * kLn2High) - n * kLn2Low;
  Vec p = splat(0.00139485928f);
  p = p * r + 0.00837513727f;
  p = p * r + 0.0416662181f;
  p = p * r + 0.166664154f;
  p = p * r + 0.500000011f;
  p = p * r + 1.00000004f;
  p = p * r + 1.0f;
  // 2^n in two factors, so that n = 128 does not overflow before the product.
  const IntVec whole = __builtin_convertvector(n, IntVec);
  const IntVec half = whole >> 1;
  const Vec a = reinterpret_cast<Vec>((half + 127) << 23);
  const Vec b = reinterpret_cast<Vec>((whole - half + 127) << 23);
  const Vec result = p * a * b;
  const Vec zeroed = select(x < splat(-87.33f), Vec{}, result);
  return select(x != x, x, zeroed);
}

// Error at most 1.8e-7: a polynomial in x^2 below 1, 1 - exp(polynomial) from 1 to 4, then 1.
inline Vec verf(Vec x) {
  const Vec magnitude = vmin(splat(4.0f), vmax(x, -x));  // NaN stays
  const Vec square = magnitude * magnitude;
  Vec p = splat(7.88249711e-05f);
  p = p * square - 0.000801885499f;
  p = p * square + 0.00518931194f;
  p = p * square - 0.0268543288f;
  p = p * square + 0.112835975f;
  p = p * square - 0.376126269f;
  p = p * square + 1.12837917f;
  Vec q = splat(-6.58285705e-08f);
  q = q * magnitude + 3.09520444e-06f;
  q = q * magnitude - 6.00687937e-05f;
  q = q * magnitude + 0.000673337537f;
  q = q * magnitude - 0.00502104471f;
  q = q * magnitude + 0.026999497f;
  q = q * magnitude - 0.110907417f;
  q = q * magnitude - 0.631088868f;
  q = q * magnitude - 1.13060447f;
  q = q * magnitude + 0.000400500481f;
  const Vec value = select(magnitude < splat(1.0f), p * magnitude, 1.0f - vexp(q));
  return select(x < Vec{}, -value, value);
}

inline Vec vsigmoid(Vec x) { return 1.0f / (1.0f + vexp(-x)); }

template <Activation kActivation>
inline Vec vactivate(Vec x) {
  if constexpr (kActivation == Activation::relu) return vrelu(x);
  if constexpr (kActivation == Activation::gelu) return 0.5f * x * (1.0f + verf(x * 0.707106781f));
  if constexpr (kActivation == Activation::quick_gelu) return x * vsigmoid(1.702f * x);
  return x;
}

// The derivative at x.
template <Activation kActivation>
inline Vec vactivate_slope(Vec x) {
  if constexpr (kActivation == Activation::relu) return vrelu_gradient(splat(1.0f), x);
  if constexpr (kActivation == Activation::gelu) {
    return 0.5f * (1.0f + verf(x * 0.707106781f)) + x * 0.398942280f * vexp(-0.5f * x * x);
  }
  if constexpr (kActivation == Activation::quick_gelu) {
    const Vec s = vsigmoid(1.702f * x);
    return s + 1.702f * x * s * (1.0f - s);
  }
  return splat(1.0f);
}

// Calls f with the activation as a compile-time constant.
template <class F>
inline void with_activation(Activation activation, F f) {
  switch (activation) {
    case Activation::none:
      f.template operator()<Activation::none>();
      return;
    case Activation::relu:
      f.template operator()<Activation::relu>();
      return;
    case Activation::gelu:
      f.template operator()<Activation::gelu>();
      return;
    case Activation::quick_gelu:
      f.template operator()<Activation::quick_gelu>();
      return;
  }
}

}  // namespace mg::MG_ISA
