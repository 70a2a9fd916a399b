#include "kernels/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {

// Sum over a row of f(c, lanes), a vector at a time.
template <class F>
inline float row_sum(std::int64_t channels, F f) {
  Vec sum{};
  for_each_vector(channels, [&](std::int64_t c, auto lanes) { sum += f(c, lanes); });
  return sum_lanes(sum);
}

}  // namespace

void layer_norm_forward(const LayerNormForward& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels();
  const float n = static_cast<float>(channels);
  for_each_row_block(stream, args.x.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = args.x.f32() + r * args.x.pitch;
      float* y = args.y.f32() + r * args.y.pitch;
      const float mean = row_sum(channels, [&](std::int64_t c, auto lanes) { return lanes.load(x + c); }) / n;
      // Lanes past the last channel would read 0 and count as mean^2.
      const std::int64_t whole = channels / kVectorFloats * kVectorFloats;
      float squares = row_sum(whole, [&](std::int64_t c, auto lanes) {
        const Vec d = lanes.load(x + c) - mean;
        return d * d;
      });
      for (std::int64_t c = whole; c < channels; ++c) squares += (x[c] - mean) * (x[c] - mean);
      const float inverse = 1.0f / std::sqrt(squares / n + args.eps);
      for (std::int64_t c = 0; c < channels; ++c)
        y[c] = (x[c] - mean) * inverse * args.weight[c] + args.bias[c];
      args.mean[r] = mean;
      args.inverse_std[r] = inverse;
    }
  });
}

void layer_norm_backward(const LayerNormBackward& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels();
  const float n = static_cast<float>(channels);
  reduce_rows(
      stream, 0, args.x.rows(), 2 * channels,
      [&](std::int64_t begin, std::int64_t end, float* sums) {
        float *dbias = sums, *dweight = sums + channels;
        std::fill_n(sums, 2 * channels, 0.0f);
        for (std::int64_t r = begin; r < end; ++r) {
          const float* x = args.x.f32() + r * args.x.pitch;
          const float* dy = args.dy.f32() + r * args.dy.pitch;
          for (std::int64_t c = 0; c < channels; ++c) {
            dbias[c] += dy[c];
            dweight[c] += dy[c] * (x[c] - args.mean[r]) * args.inverse_std[r];
          }
        }
      },
      [&](std::int64_t i, double total) {
        (i < channels ? args.dbias[i] : args.dweight[i - channels]) = static_cast<float>(total);
      });
  for_each_row_block(stream, args.x.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = args.x.f32() + r * args.x.pitch;
      const float* dy = args.dy.f32() + r * args.dy.pitch;
      float* dx = args.dx.f32() + r * args.dx.pitch;
      const float mean = args.mean[r], inverse = args.inverse_std[r];
      const float sum = row_sum(channels, [&](std::int64_t c, auto lanes) {
        return lanes.load(dy + c) * lanes.load(args.weight + c);
      });
      const float dot = row_sum(channels, [&](std::int64_t c, auto lanes) {
        return lanes.load(dy + c) * lanes.load(args.weight + c) * ((lanes.load(x + c) - mean) * inverse);
      });
      for (std::int64_t c = 0; c < channels; ++c) {
        const float normalised = (x[c] - mean) * inverse;
        dx[c] = inverse * (dy[c] * args.weight[c] - (sum + normalised * dot) / n);
      }
    }
  });
}

void l2_normalize_forward(const L2NormalizeForward& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels();
  for_each_row_block(stream, args.x.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = args.x.f32() + r * args.x.pitch;
      float* y = args.y.f32() + r * args.y.pitch;
      const float norm = std::sqrt(row_sum(
          channels, [&](std::int64_t c, auto lanes) { return lanes.load(x + c) * lanes.load(x + c); }));
      const float inverse = 1.0f / std::max(norm, args.eps);
      for (std::int64_t c = 0; c < channels; ++c) y[c] = x[c] * inverse;
    }
  });
}

void l2_normalize_backward(const L2NormalizeBackward& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels();
  for_each_row_block(stream, args.x.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = args.x.f32() + r * args.x.pitch;
      const float* dy = args.dy.f32() + r * args.dy.pitch;
      float* dx = args.dx.f32() + r * args.dx.pitch;
      const float norm = std::sqrt(row_sum(
          channels, [&](std::int64_t c, auto lanes) { return lanes.load(x + c) * lanes.load(x + c); }));
      const float inverse = 1.0f / std::max(norm, args.eps);
      // Below eps the denominator is constant.
      const float along =
          norm < args.eps
              ? 0.0f
              : row_sum(channels,
                        [&](std::int64_t c, auto lanes) { return lanes.load(x + c) * lanes.load(dy + c); }) *
                    inverse * inverse;
      for (std::int64_t c = 0; c < channels; ++c) dx[c] = (dy[c] - x[c] * along) * inverse;
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(layer_norm_forward, LayerNormForward)
MG_KERNEL(layer_norm_backward, LayerNormBackward)
MG_KERNEL(l2_normalize_forward, L2NormalizeForward)
MG_KERNEL(l2_normalize_backward, L2NormalizeBackward)
