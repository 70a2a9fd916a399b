// Indirection tables of a convolution: for each tap and output pixel the row of the input, or -1 in the
// padding. Tables depend on the geometry alone and are kept in the stream. Compiled for the base machine
// (include before kernels/cpu/isa.h).
#pragma once

#include <cstdio>
#include <string>

#include "kernels/conv3d.h"

namespace mg {

struct ConvExtents {
  std::int64_t n, t, h, w;
  explicit ConvExtents(const Shape& shape) : n(shape[0]), t(shape[1]), h(shape[2]), w(shape[3]) {}
  std::int64_t pixels() const { return n * t * h * w; }
};

inline std::string conv_table_key(const char* kind, const ConvExtents& in, const ConvExtents& out,
                                  const Conv3dGeometry& g) {
  char text[256];
  std::snprintf(text, sizeof text, "%s %ld %ld %ld %ld > %ld %ld %ld k%d %d %d s%d %d %d p%d %d %d", kind,
                static_cast<long>(in.n), static_cast<long>(in.t), static_cast<long>(in.h),
                static_cast<long>(in.w), static_cast<long>(out.t), static_cast<long>(out.h),
                static_cast<long>(out.w), g.kernel[0], g.kernel[1], g.kernel[2], g.stride[0], g.stride[1],
                g.stride[2], g.padding[0], g.padding[1], g.padding[2]);
  return text;
}

// [taps][output pixels]
inline std::vector<std::int32_t> make_forward_table(const ConvExtents& in, const ConvExtents& out,
                                                    const Conv3dGeometry& g) {
  const std::int64_t taps = std::int64_t{g.kernel[0]} * g.kernel[1] * g.kernel[2];
  std::vector<std::int32_t> table(static_cast<std::size_t>(taps * out.pixels()));
  std::int32_t* entry = table.data();
  for (int kt = 0; kt < g.kernel[0]; ++kt) {
    for (int kh = 0; kh < g.kernel[1]; ++kh) {
      for (int kw = 0; kw < g.kernel[2]; ++kw) {
        for (std::int64_t nt = 0; nt < out.n * out.t; ++nt) {
          const std::int64_t t = nt % out.t * g.stride[0] + kt - g.padding[0];
          for (std::int64_t y = 0; y < out.h; ++y) {
            const std::int64_t h = y * g.stride[1] + kh - g.padding[1];
            const bool inside = t >= 0 && t < in.t && h >= 0 && h < in.h;
            const std::int64_t line = ((nt / out.t * in.t + t) * in.h + h) * in.w;
            for (std::int64_t x = 0; x < out.w; ++x) {
              const std::int64_t w = x * g.stride[2] + kw - g.padding[2];
              *entry++ = inside && w >= 0 && w < in.w ? static_cast<std::int32_t>(line + w) : -1;
            }
          }
        }
      }
    }
  }
  return table;
}

inline auto forward_table(CpuStream& stream, const Shape& x, const Shape& y, const Conv3dGeometry& g) {
  const ConvExtents in(x);
  const ConvExtents out(y);
  return stream.table(conv_table_key("forward", in, out, g), [&] { return make_forward_table(in, out, g); });
}

// The input pixels of one output parity of a strided convolution, and the taps that reach them: no multiply
// by zero.
struct ConvPhase {
  std::array<int, 3> remainder;  // (input coordinate + padding) % stride
  std::array<std::int64_t, 3> first, count;

  ConvPhase(const ConvExtents& in, const Conv3dGeometry& g, int index) {
    const std::array<std::int64_t, 3> extent{in.t, in.h, in.w};
    remainder = {index / (g.stride[1] * g.stride[2]), index / g.stride[2] % g.stride[1], index % g.stride[2]};
    for (std::size_t a = 0; a < 3; ++a) {
      const std::int64_t s = g.stride[a];
      first[a] = ((remainder[a] - g.padding[a]) % s + s) % s;
      count[a] = extent[a] > first[a] ? (extent[a] - first[a] + s - 1) / s : 0;
    }
  }
  std::int64_t pixels(std::int64_t n) const { return n * count[0] * count[1] * count[2]; }
  // Taps k with k % stride == remainder, along axis a.
  int taps(const Conv3dGeometry& g, std::size_t a) const {
    return g.kernel[a] > remainder[a] ? (g.kernel[a] - remainder[a] + g.stride[a] - 1) / g.stride[a] : 0;
  }
  int taps(const Conv3dGeometry& g) const { return taps(g, 0) * taps(g, 1) * taps(g, 2); }

  // Calls f(kt, kh, kw) for each tap of the phase, in the order of its table.
  template <class F>
  void for_each_tap(const Conv3dGeometry& g, F f) const {
    for (int kt = remainder[0]; kt < g.kernel[0]; kt += g.stride[0]) {
      for (int kh = remainder[1]; kh < g.kernel[1]; kh += g.stride[1]) {
        for (int kw = remainder[2]; kw < g.kernel[2]; kw += g.stride[2]) f(kt, kh, kw);
      }
    }
  }
};

// [input rows of the phase's pixels] then [taps][pixels] of output rows.
inline std::vector<std::int32_t> make_phase_table(const ConvExtents& in, const ConvExtents& out,
                                                  const Conv3dGeometry& g, const ConvPhase& phase) {
  const std::int64_t pixels = phase.pixels(in.n);
  std::vector<std::int32_t> table;
  table.reserve(static_cast<std::size_t>(pixels * (1 + phase.taps(g))));
  auto for_each_pixel = [&](auto f) {
    for (std::int64_t n = 0; n < in.n; ++n) {
      for (std::int64_t t = phase.first[0]; t < in.t; t += g.stride[0]) {
        for (std::int64_t h = phase.first[1]; h < in.h; h += g.stride[1]) {
          for (std::int64_t w = phase.first[2]; w < in.w; w += g.stride[2]) f(n, t, h, w);
        }
      }
    }
  };
  for_each_pixel([&](auto n, auto t, auto h, auto w) {
    table.push_back(static_cast<std::int32_t>(((n * in.t + t) * in.h + h) * in.w + w));
  });
  phase.for_each_tap(g, [&](int kt, int kh, int kw) {
    for_each_pixel([&](auto n, auto t, auto h, auto w) {
      const std::int64_t ot = t + g.padding[0] - kt, oh = h + g.padding[1] - kh, ow = w + g.padding[2] - kw;
      const std::int64_t y = oh / g.stride[1], x = ow / g.stride[2], f = ot / g.stride[0];
      const bool inside = ot >= 0 && oh >= 0 && ow >= 0 && f < out.t && y < out.h && x < out.w;
      table.push_back(inside ? static_cast<std::int32_t>(((n * out.t + f) * out.h + y) * out.w + x) : -1);
    });
  });
  return table;
}

}  // namespace mg
