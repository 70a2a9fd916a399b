// Batch normalisation: y = relu?(weight[c] * (x - mean[c]) / sqrt(variance[c] + eps) + bias[c] + residual) in
// one pass, and its gradients in two: sums down the columns, then dx = from_g * g - (constant + from_x * (x -
// mean)), g = dy where the ReLU let through. Numbers of a channel are read once a thread and kept in
// registers.
#include "kernels/batch_norm.h"

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/column_sums.cuh"

namespace mg {

namespace {

using namespace cuda;

constexpr std::int64_t kMostBlocks =
    2048;  // enough for any device; more rows a block for the numbers of its channels

// y, x, residual (or null): [rows, channels]. mean, variance, weight, bias: [channels].
template <int kWidth, class Elem>
__global__ void batch_norm_forward_kernel(RowTile tile, int channels, Rows<Elem> y, Rows<const Elem> x,
                                          Rows<const Elem> residual, const float* mean, const float* variance,
                                          const float* weight, const float* bias, float eps, bool has_relu) {
  float numbers[4][kWidth];
  load_block_channels(numbers, tile, {mean, weight, bias, variance}, channels);
  float(&means)[kWidth] = numbers[0], (&scales)[kWidth] = numbers[1], (&biases)[kWidth] = numbers[2];
#pragma unroll
  for (int j = 0; j < kWidth; ++j) scales[j] /= sqrtf(numbers[3][j] + eps);
  write_rows<kWidth>(tile, y, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    load_chunk(values, x.at(r, c));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] = (values[j] - means[j]) * scales[j] + biases[j];
    if (residual.data != nullptr) {
      float other[kWidth];
      load_chunk(other, residual.at(r, c));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) values[j] += other[j];
    }
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] = has_relu ? relu(values[j]) : values[j];
  });
}

// g: dy where y (null without ReLU) is above zero or NaN.
template <int kWidth, class Elem>
__device__ __forceinline__ void load_masked(float (&g)[kWidth], Rows<const Elem> dy, Rows<const Elem> y,
                                            std::int64_t r, int c) {
  load_chunk(g, dy.at(r, c));
  if (y.data == nullptr) return;
  float output[kWidth];
  load_chunk(output, y.at(r, c));
#pragma unroll
  for (int j = 0; j < kWidth; ++j) g[j] = output[j] <= 0.0f ? 0.0f : g[j];
}

// dy, x, y (or null): [rows, channels]. partial: [blocks, 2, channels]: sums of g and of g * (x - mean) of
// each strip.
template <int kWidth, class Elem>
__global__ void __launch_bounds__(kRowThreads)
    batch_norm_backward_sums_kernel(RowTile tile, int channels, Rows<const Elem> dy, Rows<const Elem> x,
                                    Rows<const Elem> y, const float* mean, float* partial) {
  const int column = tile.column<kWidth>();
  float sums[2 * kWidth] = {}, means[1][kWidth];
  load_block_channels(means, tile, {mean}, channels);
  if (column < channels) {
    const std::int64_t end = tile.end();
#pragma unroll 2
    for (std::int64_t r = tile.first(); r < end; r += tile.lanes) {
      float g[kWidth], centred[kWidth];
      load_masked(g, dy, y, r, column);
      load_chunk(centred, x.at(r, column));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        sums[j] += g[j];
        sums[kWidth + j] += g[j] * (centred[j] - means[0][j]);
      }
    }
  }
  store_strip_sums<2, kWidth>(tile, channels, sums, partial);
}

// dbias and dweight (null: not wanted), and what dx is made of: constant and from_x, [channels] each.
struct StoreGradients {
  float *dweight, *dbias, *constant, *from_x;
  const float *variance, *weight;
  float eps;
  int channels;
  double rows;

  __device__ void operator()(int i, double total) const {
    const int c = i < channels ? i : i - channels;
    const double inverse = 1.0f / sqrtf(variance[c] + eps);
    const double from_g = weight[c] * inverse;
    if (i < channels) {
      if (dbias != nullptr) dbias[c] = static_cast<float>(total);
      constant[c] = static_cast<float>(from_g * total / rows);
    } else {
      if (dweight != nullptr) dweight[c] = static_cast<float>(total * inverse);
      from_x[c] = static_cast<float>(from_g * total * inverse * inverse / rows);
    }
  }
};

// dx, dresidual (one may be null), dy, x, y (or null): [rows, channels]. constant, from_x: [channels], null
// without statistics of the batch.
template <int kWidth, class Elem>
__global__ void batch_norm_backward_kernel(RowTile tile, int channels, Rows<Elem> dx, Rows<Elem> dresidual,
                                           Rows<const Elem> dy, Rows<const Elem> x, Rows<const Elem> y,
                                           const float* mean, const float* variance, const float* weight,
                                           float eps, const float* constant, const float* from_x) {
  const int column = tile.column<kWidth>();
  const bool batch = constant != nullptr;
  float numbers[5][kWidth];
  load_block_channels(numbers, tile, {mean, weight, batch ? constant : mean, batch ? from_x : mean, variance},
                      channels);
  float(&means)[kWidth] = numbers[0], (&from_g)[kWidth] = numbers[1];
  float(&constants)[kWidth] = numbers[2], (&slopes)[kWidth] = numbers[3];
#pragma unroll
  for (int j = 0; j < kWidth; ++j) from_g[j] /= sqrtf(numbers[4][j] + eps);
  const std::int64_t end = tile.end();
  for (std::int64_t r = tile.first(); r < end; r += tile.lanes) {
    float g[kWidth] = {}, values[kWidth] = {};
    if (column < channels) load_masked(g, dy, y, r, column);
    if (batch && column < channels && dx.data != nullptr) load_chunk(values, x.at(r, column));
    zero_padding(g, column, channels);
    if (dresidual.data != nullptr && column < dresidual.pitch) store_chunk(dresidual.at(r, column), g);
    if (dx.data == nullptr || column >= dx.pitch) continue;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      values[j] = from_g[j] * g[j] - (batch ? constants[j] + slopes[j] * (values[j] - means[j]) : 0.0f);
    }
    zero_padding(values, column, channels);
    store_chunk(dx.at(r, column), values);
  }
}

}  // namespace

void batch_norm_forward(const BatchNormForward& args, CudaStream& stream) {
  with_elem(args.x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          const RowLaunch l = channel_launch(args.x.rows(), args.y.pitch, width, kMostBlocks);
          launch(stream, "batch_norm_forward_kernel", batch_norm_forward_kernel<width(), Elem>, l.grid,
                 l.block, 0, l.tile, args.x.channels(), rows_of<Elem>(args.y), rows_of<Elem>(args.x),
                 rows_of<Elem>(args.residual), args.mean, args.variance, args.weight, args.bias, args.eps,
                 args.relu);
        },
        args.y, args.x, args.residual);
  });
}

void batch_norm_backward(const BatchNormBackward& args, CudaStream& stream) {
  const std::int64_t rows = args.x.rows(), channels = args.x.channels();
  const bool batch = args.dx && args.batch_statistics;
  auto* sums =
      static_cast<float*>(stream.workspace(1, static_cast<std::size_t>(2 * channels) * sizeof(float)));
  float *constant = sums, *from_x = sums + channels;
  auto run = [&](auto elem, auto width) {
    using Elem = decltype(elem);
    if (args.dweight != nullptr || batch) {
      const RowLaunch l = channel_launch(rows, channels, width, 512);
      auto* partial = static_cast<float*>(
          stream.workspace(0, l.grid.x * static_cast<std::size_t>(2 * channels) * sizeof(float)));
      launch(stream, "batch_norm_backward_sums_kernel", batch_norm_backward_sums_kernel<width(), Elem>,
             l.grid, l.block, 0, l.tile, channels, rows_of<Elem>(args.dy), rows_of<Elem>(args.x),
             rows_of<Elem>(args.y), args.mean, partial);
      column_totals(stream, "batch_norm_column_totals_kernel", partial, l.grid.x, 2 * channels,
                    StoreGradients{args.dweight, args.dbias, constant, from_x, args.variance, args.weight,
                                   args.eps, static_cast<int>(channels), static_cast<double>(rows)});
    }
    if (!args.dx && !args.dresidual) return;
    const std::int64_t pitch =
        std::max(args.dx ? args.dx.pitch : 0, args.dresidual ? args.dresidual.pitch : 0);
    const RowLaunch l = channel_launch(rows, pitch, width, kMostBlocks);
    launch(stream, "batch_norm_backward_kernel", batch_norm_backward_kernel<width(), Elem>, l.grid, l.block,
           0, l.tile, channels, rows_of<Elem>(args.dx), rows_of<Elem>(args.dresidual), rows_of<Elem>(args.dy),
           rows_of<Elem>(args.x), rows_of<Elem>(args.y), args.mean, args.variance, args.weight, args.eps,
           batch ? constant : nullptr, batch ? from_x : nullptr);
  };
  with_elem(args.x.dtype, [&](auto elem) {
    with_width<decltype(elem)>([&](auto width) { run(elem, width); }, args.dx, args.dresidual, args.dy,
                               args.x, args.y);
  });
}

}  // namespace mg
