#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/rows.h"

namespace mg::MG_ISA {

namespace {

constexpr int kChannelSlot = 0, kPartialSlot = 1;

// Arrays of one number per channel, padded with zeros to whole vectors.
class ChannelArrays {
 public:
  ChannelArrays(CpuStream& stream, int arrays, std::int64_t channels)
      : width_(round_up(channels, kChannelAlign)),
        data_(stream.scratch(CpuStream::kShared, kChannelSlot, static_cast<std::size_t>(arrays * width_))) {
    std::fill_n(data_, arrays * width_, 0.0f);
  }
  float* operator[](int i) const { return data_ + i * width_; }

 private:
  std::int64_t width_;
  float* data_;
};

// Sums over a block of rows, [3][width]: a centre near the mean, and the sums of d and d^2, d = x - centre.
// Two passes over what is in cache.
void block_moments(const ConstView& x, std::int64_t begin, std::int64_t end, std::int64_t width,
                   float* moments) {
  float *centre = moments, *sums = moments + width;
  const float* first = x.f32() + begin * x.pitch;
  sum_block<1>(begin, end, width, centre, [&](std::int64_t r, std::int64_t c, auto lanes) {
    return Terms<1>{{lanes.load(x.f32() + r * x.pitch + c) - lanes.load(first + c)}};
  });
  const float factor = 1.0f / static_cast<float>(end - begin);
  for (std::int64_t c = 0; c < width; ++c) centre[c] = first[c] + centre[c] * factor;
  sum_block<2>(begin, end, width, sums, [&](std::int64_t r, std::int64_t c, auto lanes) {
    const Vec d = lanes.load(x.f32() + r * x.pitch + c) - lanes.load(centre + c);
    return Terms<2>{{d, d * d}};
  });
}

}  // namespace

void batch_norm_statistics(const BatchNormStatistics& args, CpuStream& stream) {
  const std::int64_t rows = args.x.rows(), channels = args.x.channels();
  const std::int64_t width = padded_channels(channels, args.x.pitch);
  const std::int64_t block = std::max<std::int64_t>(1, 16384 / width), blocks = (rows + block - 1) / block;
  float* partial =
      stream.scratch(CpuStream::kShared, kPartialSlot, static_cast<std::size_t>(blocks * 3 * width));
  stream.parallel_for(blocks, [&](std::int64_t i, int) {
    block_moments(args.x, i * block, std::min(rows, (i + 1) * block), width, partial + i * 3 * width);
  });
  const BatchStatistics& out = args.statistics;
  stream.parallel_for((channels + 15) / 16, [&](std::int64_t group, int) {
    for (std::int64_t c = group * 16; c < std::min(channels, (group + 1) * 16); ++c) {
      // Chan, Golub and LeVeque 1979: means and sums of squared deviations of two parts combine exactly.
      double count = 0, mean = 0, squares = 0;
      for (std::int64_t i = 0; i < blocks; ++i) {
        const float* moments = partial + i * 3 * width + c;
        const auto n = static_cast<double>(std::min(rows, (i + 1) * block) - i * block);
        const double sum = moments[width];
        const double difference = static_cast<double>(moments[0]) + sum / n - mean;
        squares += static_cast<double>(moments[2 * width]) - sum * sum / n +
                   difference * difference * count * n / (count + n);
        mean += difference * n / (count + n);
        count += n;
      }
      out.mean[c] = static_cast<float>(mean);
      out.variance[c] = static_cast<float>(squares / count);
      if (out.running_mean != nullptr) update_running(out, c, mean, squares / std::max(1.0, count - 1));
    }
  });
}

void batch_norm_forward(const BatchNormForward& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels();
  const ChannelArrays arrays(stream, 3, channels);
  float *mean = arrays[0], *scale = arrays[1], *bias = arrays[2];
  for (std::int64_t c = 0; c < channels; ++c) {
    mean[c] = args.mean[c];
    scale[c] = args.weight[c] / std::sqrt(args.variance[c] + args.eps);
    bias[c] = args.bias[c];
  }
  const bool add = static_cast<bool>(args.residual);
  const std::int64_t width =
      padded_channels(channels, args.y.pitch, args.x.pitch, add ? args.residual.pitch : args.y.pitch);
  auto rows = [&]<bool kRelu, bool kResidual>(std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = args.x.f32() + r * args.x.pitch;
      const float* residual = kResidual ? args.residual.f32() + r * args.residual.pitch : nullptr;
      float* y = args.y.f32() + r * args.y.pitch;
      for_each_vector(width, [&](std::int64_t c, auto lanes) {
        Vec value = (lanes.load(x + c) - lanes.load(mean + c)) * lanes.load(scale + c) + lanes.load(bias + c);
        if constexpr (kResidual) value += lanes.load(residual + c);
        if constexpr (kRelu) value = vrelu(value);
        lanes.store(y + c, value);
      });
    }
  };
  for_each_row_block(stream, args.x.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    if (args.relu) {
      add ? rows.template operator()<true, true>(begin, end)
          : rows.template operator()<true, false>(begin, end);
    } else {
      add ? rows.template operator()<false, true>(begin, end)
          : rows.template operator()<false, false>(begin, end);
    }
  });
}

namespace {

// g = dy where the ReLU let through.
template <bool kRelu, class Lanes>
inline Vec masked_gradient(const BatchNormBackward& args, std::int64_t r, std::int64_t c, Lanes lanes) {
  const Vec dy = lanes.load(args.dy.f32() + r * args.dy.pitch + c);
  if constexpr (!kRelu) return dy;
  return vrelu_gradient(dy, lanes.load(args.y.f32() + r * args.y.pitch + c));
}

// The channels that loops over dy, x and y run over.
std::int64_t input_width(const BatchNormBackward& args) {
  return padded_channels(args.x.channels(), args.x.pitch, args.dy.pitch,
                         args.y ? args.y.pitch : args.x.pitch);
}

// dbias = sum of g and dweight = sum of g * normalised x: emit(is_bias, channel, total).
template <bool kRelu, class Emit>
void reduce_gradients(const BatchNormBackward& args, const float* mean, const float* inverse,
                      CpuStream& stream, Emit emit) {
  const ConstView& x = args.x;
  const std::int64_t channels = x.channels(), width = input_width(args);
  reduce_rows(
      stream, kPartialSlot, x.rows(), 2 * width,
      [&](std::int64_t begin, std::int64_t end, float* sums) {
        sum_block<2>(begin, end, width, sums, [&](std::int64_t r, std::int64_t c, auto lanes) {
          const Vec g = masked_gradient<kRelu>(args, r, c, lanes);
          const Vec centred = lanes.load(x.f32() + r * x.pitch + c) - lanes.load(mean + c);
          return Terms<2>{{g, g * (centred * lanes.load(inverse + c))}};
        });
      },
      [&](std::int64_t i, double total) {
        if (i % width < channels) emit(i < width, i % width, total);
      });
}

// dx = from_g * g - (constant + from_x * (x - mean)), and dresidual = g.
template <bool kRelu, bool kBatch>
void backward_rows(const BatchNormBackward& args, const ChannelArrays& arrays, std::int64_t begin,
                   std::int64_t end) {
  const View &dx = args.dx, &dresidual = args.dresidual;
  const float *mean = arrays[0], *from_g = arrays[2], *constant = arrays[3], *from_x = arrays[4];
  const std::int64_t width =
      padded_channels(args.x.channels(), input_width(args), dx ? dx.pitch : args.x.pitch,
                      dresidual ? dresidual.pitch : args.x.pitch);
  for (std::int64_t r = begin; r < end; ++r) {
    for_each_vector(width, [&](std::int64_t c, auto lanes) {
      const Vec g = masked_gradient<kRelu>(args, r, c, lanes);
      if (dresidual) lanes.store(dresidual.f32() + r * dresidual.pitch + c, g);
      if (!dx) return;
      Vec value = lanes.load(from_g + c) * g;
      if constexpr (kBatch) {
        const Vec centred = lanes.load(args.x.f32() + r * args.x.pitch + c) - lanes.load(mean + c);
        value -= lanes.load(constant + c) + lanes.load(from_x + c) * centred;
      }
      lanes.store(dx.f32() + r * dx.pitch + c, value);
    });
  }
}

template <bool kRelu>
void backward(const BatchNormBackward& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels();
  const ChannelArrays arrays(stream, 5, channels);
  float *mean = arrays[0], *inverse = arrays[1], *from_g = arrays[2], *constant = arrays[3],
        *from_x = arrays[4];
  for (std::int64_t c = 0; c < channels; ++c) {
    mean[c] = args.mean[c];
    inverse[c] = 1.0f / std::sqrt(args.variance[c] + args.eps);
    from_g[c] = args.weight[c] * inverse[c];
  }
  if (args.dweight != nullptr || (args.dx && args.batch_statistics)) {
    const auto n = static_cast<double>(args.x.rows());
    reduce_gradients<kRelu>(args, mean, inverse, stream, [&](bool is_bias, std::int64_t c, double total) {
      if (args.dweight != nullptr) (is_bias ? args.dbias : args.dweight)[c] = static_cast<float>(total);
      const double share = static_cast<double>(from_g[c]) * total / n;
      if (is_bias) {
        constant[c] = static_cast<float>(share);
      } else {
        from_x[c] = static_cast<float>(share * static_cast<double>(inverse[c]));
      }
    });
  }
  if (!args.dx && !args.dresidual) return;
  for_each_row_block(stream, args.x.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    args.batch_statistics ? backward_rows<kRelu, true>(args, arrays, begin, end)
                          : backward_rows<kRelu, false>(args, arrays, begin, end);
  });
}

}  // namespace

void batch_norm_backward(const BatchNormBackward& args, CpuStream& stream) {
  args.y ? backward<true>(args, stream) : backward<false>(args, stream);
}

}  // namespace mg::MG_ISA

MG_KERNEL(batch_norm_statistics, BatchNormStatistics)
MG_KERNEL(batch_norm_forward, BatchNormForward)
MG_KERNEL(batch_norm_backward, BatchNormBackward)
