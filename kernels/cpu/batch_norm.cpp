#include "kernels/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/rows.h"

namespace mg::MG_ISA {

namespace {

constexpr std::int64_t kBlock = 256;  // rows of one partial sum

// Sums of rows [begin, end) about their first row, which keeps the variance of channels far from zero.
void block_sums(const ConstView& x, std::int64_t begin, std::int64_t end, float* sum, float* square) {
  const std::int64_t channels = x.channels();
  const float* shift = x.f32() + begin * x.pitch;
  std::fill_n(sum, channels, 0.0f);
  std::fill_n(square, channels, 0.0f);
  for (std::int64_t r = begin; r < end; ++r) {
    const float* row = x.f32() + r * x.pitch;
    for (std::int64_t c = 0; c < channels; ++c) {
      const float d = row[c] - shift[c];
      sum[c] += d;
      square[c] += d * d;
    }
  }
}

}  // namespace

void batch_norm_statistics(const BatchNormStatistics& args, CpuStream& stream) {
  const ConstView& x = args.x;
  const std::int64_t rows = x.rows(), channels = x.channels();
  const std::int64_t blocks = (rows + kBlock - 1) / kBlock;
  float* partial = stream.scratch(CpuStream::kShared, 0, static_cast<std::size_t>(blocks * 2 * channels));
  stream.parallel_for(blocks, [&](std::int64_t block, int) {
    float* sum = partial + block * 2 * channels;
    block_sums(x, block * kBlock, std::min(rows, (block + 1) * kBlock), sum, sum + channels);
  });
  stream.parallel_for((channels + 15) / 16, [&](std::int64_t group, int) {
    for (std::int64_t c = group * 16; c < std::min(channels, (group + 1) * 16); ++c) {
      // Chan, Golub and LeVeque 1979: means and sums of squared deviations of two parts combine exactly.
      double count = 0, mean = 0, deviations = 0;
      for (std::int64_t block = 0; block < blocks; ++block) {
        const auto n = static_cast<double>(std::min(rows, (block + 1) * kBlock) - block * kBlock);
        const double sum = partial[block * 2 * channels + c];
        const double square = partial[(block * 2 + 1) * channels + c];
        const double block_mean = static_cast<double>(x.f32()[block * kBlock * x.pitch + c]) + sum / n;
        const double difference = block_mean - mean;
        deviations += square - sum * sum / n + difference * difference * count * n / (count + n);
        mean += difference * n / (count + n);
        count += n;
      }
      const double variance = std::max(0.0, deviations / count);
      args.mean[c] = static_cast<float>(mean);
      args.variance[c] = static_cast<float>(variance);
      if (args.running_mean == nullptr) continue;
      const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
      args.running_mean[c] +=
          args.momentum * static_cast<float>(mean - static_cast<double>(args.running_mean[c]));
      args.running_variance[c] +=
          args.momentum * static_cast<float>(unbiased - static_cast<double>(args.running_variance[c]));
    }
  });
}

void batch_norm_forward(const BatchNormForward& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels();
  float* scale = stream.scratch(CpuStream::kShared, 0, static_cast<std::size_t>(2 * channels));
  float* shift = scale + channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    scale[c] = args.weight[c] / std::sqrt(args.variance[c] + args.eps);
    shift[c] = args.bias[c] - args.mean[c] * scale[c];
  }
  for_each_row_block(stream, args.x.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = args.x.f32() + r * args.x.pitch;
      float* y = args.y.f32() + r * args.y.pitch;
      if (args.residual) {
        const float* residual = args.residual.f32() + r * args.residual.pitch;
        for (std::int64_t c = 0; c < channels; ++c) y[c] = x[c] * scale[c] + shift[c] + residual[c];
      } else {
        for (std::int64_t c = 0; c < channels; ++c) y[c] = x[c] * scale[c] + shift[c];
      }
      if (args.relu) {
        for (std::int64_t c = 0; c < channels; ++c) y[c] = y[c] > 0 ? y[c] : 0;
      }
    }
  });
}

namespace {

// g = dy where the ReLU let through, for one row.
inline void masked_gradient(const BatchNormBackward& args, std::int64_t r, float* g) {
  const std::int64_t channels = args.dy.channels();
  const float* dy = args.dy.f32() + r * args.dy.pitch;
  if (args.y) {
    const float* y = args.y.f32() + r * args.y.pitch;
    for (std::int64_t c = 0; c < channels; ++c) g[c] = y[c] > 0 ? dy[c] : 0;
  } else {
    std::copy_n(dy, channels, g);
  }
}

}  // namespace

void batch_norm_backward(const BatchNormBackward& args, CpuStream& stream) {
  const std::int64_t rows = args.x.rows(), channels = args.x.channels();
  float* factors = stream.scratch(CpuStream::kShared, 1, static_cast<std::size_t>(4 * channels));
  float *inverse = factors, *from_x = factors + channels, *constant = from_x + channels,
        *from_g = constant + channels;
  for (std::int64_t c = 0; c < channels; ++c) inverse[c] = 1.0f / std::sqrt(args.variance[c] + args.eps);
  const auto row_scratch = static_cast<std::size_t>(channels);
  reduce_rows(
      stream, 0, rows, 2 * channels,
      [&](std::int64_t begin, std::int64_t end, float* sums) {
        float *bias = sums, *weight = sums + channels;
        std::fill_n(sums, 2 * channels, 0.0f);
        for (std::int64_t r = begin; r < end; ++r) {
          const float* x = args.x.f32() + r * args.x.pitch;
          const float* dy = args.dy.f32() + r * args.dy.pitch;
          const float* y = args.y ? args.y.f32() + r * args.y.pitch : nullptr;
          for (std::int64_t c = 0; c < channels; ++c) {
            const float g = y == nullptr || y[c] > 0 ? dy[c] : 0;
            bias[c] += g;
            weight[c] += g * ((x[c] - args.mean[c]) * inverse[c]);
          }
        }
      },
      [&](std::int64_t i, double total) {
        (i < channels ? args.dbias[i] : args.dweight[i - channels]) = static_cast<float>(total);
      });
  // dx = weight * inverse * (g - mean(g) - normalised x * mean(g * normalised x)), as from_g * g + from_x * x
  // + constant.
  for (std::int64_t c = 0; c < channels; ++c) {
    const float n = static_cast<float>(rows);
    from_g[c] = args.weight[c] * inverse[c];
    from_x[c] = args.batch_statistics ? -from_g[c] * inverse[c] * args.dweight[c] / n : 0.0f;
    constant[c] = args.batch_statistics ? -from_g[c] * args.dbias[c] / n - from_x[c] * args.mean[c] : 0.0f;
  }
  const std::int64_t block = std::max<std::int64_t>(1, 16384 / channels);
  stream.parallel_for((rows + block - 1) / block, [&](std::int64_t b, int worker) {
    float* g = stream.scratch(worker, 0, row_scratch);
    for (std::int64_t r = b * block; r < std::min(rows, (b + 1) * block); ++r) {
      masked_gradient(args, r, g);
      const float* x = args.x.f32() + r * args.x.pitch;
      float* dx = args.dx.f32() + r * args.dx.pitch;
      for (std::int64_t c = 0; c < channels; ++c) dx[c] = from_g[c] * g[c] + from_x[c] * x[c] + constant[c];
      if (args.dresidual) std::copy_n(g, channels, args.dresidual.f32() + r * args.dresidual.pitch);
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(batch_norm_statistics, BatchNormStatistics)
MG_KERNEL(batch_norm_forward, BatchNormForward)
MG_KERNEL(batch_norm_backward, BatchNormBackward)
