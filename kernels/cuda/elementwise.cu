// Element by element: add, scale (also the cast and the repacking), scale by channel, activations, dropout.
// Rows of channels as in kernels/cuda/rows.cuh: 16 bytes a thread and row, one element where rows are not
// aligned.
#include "kernels/elementwise.h"

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/column_sums.cuh"
#include "kernels/cuda/dropout_mask.cuh"
#include "kernels/cuda/rows.cuh"

namespace mg {

namespace {

using namespace cuda;

constexpr std::int64_t kRowsALane = 4;

// y, a, b: [rows, channels].
template <int kWidth, class Elem>
__global__ void add_forward_kernel(RowTile tile, int channels, Rows<Elem> y, Rows<const Elem> a,
                                   Rows<const Elem> b) {
  write_rows<kWidth>(tile, y, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    float other[kWidth];
    load_chunk(values, a.at(r, c));
    load_chunk(other, b.at(r, c));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] += other[j];
  });
}

// y, x: [rows, channels], of any two element types.
template <int kWidth, class To, class From>
__global__ void scale_forward_kernel(RowTile tile, int channels, Rows<To> y, Rows<const From> x,
                                     float factor) {
  write_rows<kWidth>(tile, y, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    load_chunk(values, x.at(r, c));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] *= factor;
  });
}

// y, x: [rows, channels]. factor: [channels], or [1].
template <int kWidth, class Elem>
__global__ void scale_channels_forward_kernel(RowTile tile, int channels, Rows<Elem> y, Rows<const Elem> x,
                                              const float* factor, bool one_factor) {
  float factors[1][kWidth];
  if (one_factor) {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) factors[0][j] = factor[0];
  } else {
    load_block_channels(factors, tile, {factor}, channels);
  }
  write_rows<kWidth>(tile, y, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    load_chunk(values, x.at(r, c));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] *= factors[0][j];
  });
}

// dy, x: [rows, channels]. partial: [blocks, channels], sums over each strip.
template <int kWidth, class Elem>
__global__ void __launch_bounds__(kRowThreads)
    scale_channels_backward_factor_kernel(RowTile tile, int channels, Rows<const Elem> dy, Rows<const Elem> x,
                                          float* partial) {
  const int column = tile.column<kWidth>();
  float sums[kWidth] = {};
  if (column < channels) {
    const std::int64_t end = tile.end();
#pragma unroll 2
    for (std::int64_t r = tile.first(); r < end; r += tile.lanes) {
      float a[kWidth], b[kWidth];
      load_chunk(a, dy.at(r, column));
      load_chunk(b, x.at(r, column));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sums[j] += a[j] * b[j];
    }
  }
  store_strip_sums<1, kWidth>(tile, channels, sums, partial);
}

struct StoreTotal {
  float* totals;
  __device__ void operator()(int column, double total) const { totals[column] = static_cast<float>(total); }
};

template <int kWidth, class Elem>
__global__ void activation_forward_kernel(RowTile tile, int channels, Rows<Elem> y, Rows<const Elem> x,
                                          Activation activation) {
  write_rows<kWidth>(tile, y, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    load_chunk(values, x.at(r, c));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] = activate(activation, values[j]);
  });
}

template <int kWidth, class Elem>
__global__ void activation_backward_kernel(RowTile tile, int channels, Rows<Elem> dx, Rows<const Elem> dy,
                                           Rows<const Elem> x, Activation activation) {
  write_rows<kWidth>(tile, dx, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    float input[kWidth];
    load_chunk(values, dy.at(r, c));
    load_chunk(input, x.at(r, c));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] *= activation_slope(activation, input[j]);
  });
}

template <int kWidth, class Elem>
__global__ void dropout_kernel(RowTile tile, int channels, Rows<Elem> y, Rows<const Elem> x, DropoutMask mask,
                               float factor) {
  write_rows<kWidth>(tile, y, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    const unsigned keeps = dropout_keeps<kWidth>(mask, r, channels, c);
    load_chunk(values, x.at(r, c));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] = (keeps >> j & 1) != 0 ? values[j] * factor : 0.0f;
  });
}

// f(Elem{}, width, how the kernel is launched) for an operation that writes y from inputs of its element
// type.
template <class F, class... Inputs>
void with_layout(const View& y, F&& f, const Inputs&... inputs) {
  with_elem(y.dtype, [&](auto elem) {
    with_width<decltype(elem)>(
        [&](auto width) { f(elem, width, row_launch(y.rows(), y.pitch, width, kRowsALane)); }, y, inputs...);
  });
}

}  // namespace

void add_forward(const AddForward& args, CudaStream& stream) {
  with_layout(
      args.y,
      [&](auto elem, auto width, const RowLaunch& l) {
        using Elem = decltype(elem);
        launch(stream, "add_forward_kernel", add_forward_kernel<width(), Elem>, l.grid, l.block, 0, l.tile,
               args.y.channels(), rows_of<Elem>(args.y), rows_of<Elem>(args.a), rows_of<Elem>(args.b));
      },
      args.a, args.b);
}

void scale_forward(const ScaleForward& args, CudaStream& stream) {
  with_elem(args.y.dtype, [&](auto to) {
    with_elem(args.x.dtype, [&](auto from) {
      using To = decltype(to);
      using From = decltype(from);
      using Widest = std::conditional_t<sizeof(To) >= sizeof(From), To, From>;
      with_width<Widest>(
          [&](auto width) {
            const RowLaunch l = row_launch(args.y.rows(), args.y.pitch, width, kRowsALane);
            launch(stream, "scale_forward_kernel", scale_forward_kernel<width(), To, From>, l.grid, l.block,
                   0, l.tile, args.y.channels(), rows_of<To>(args.y), rows_of<From>(args.x), args.factor);
          },
          args.y, args.x);
    });
  });
}

void scale_channels_forward(const ScaleChannelsForward& args, CudaStream& stream) {
  with_layout(
      args.y,
      [&](auto elem, auto width, RowLaunch l) {
        using Elem = decltype(elem);
        l = channel_launch(args.y.rows(), args.y.pitch, width, 2048);
        launch(stream, "scale_channels_forward_kernel", scale_channels_forward_kernel<width(), Elem>, l.grid,
               l.block, 0, l.tile, args.y.channels(), rows_of<Elem>(args.y), rows_of<Elem>(args.x),
               args.factor, args.one_factor);
      },
      args.x);
}

void scale_channels_backward_factor(const ScaleChannelsBackwardFactor& args, CudaStream& stream) {
  const std::int64_t channels = args.x.channels();
  with_elem(args.x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          const RowLaunch l = channel_launch(args.x.rows(), channels, width, 512);
          auto* partial = static_cast<float*>(
              stream.workspace(0, l.grid.x * static_cast<std::size_t>(channels) * sizeof(float)));
          launch(stream, "scale_channels_backward_factor_kernel",
                 scale_channels_backward_factor_kernel<width(), Elem>, l.grid, l.block, 0, l.tile, channels,
                 rows_of<Elem>(args.dy), rows_of<Elem>(args.x), partial);
          const std::int64_t columns = args.one_factor ? 1 : channels;
          column_totals(stream, "column_totals_kernel", partial, l.grid.x * channels / columns, columns,
                        StoreTotal{args.dfactor});
        },
        args.x, args.dy);
  });
}

void activation_forward(const ActivationForward& args, CudaStream& stream) {
  with_layout(
      args.y,
      [&](auto elem, auto width, const RowLaunch& l) {
        using Elem = decltype(elem);
        launch(stream, "activation_forward_kernel", activation_forward_kernel<width(), Elem>, l.grid, l.block,
               0, l.tile, args.y.channels(), rows_of<Elem>(args.y), rows_of<Elem>(args.x), args.activation);
      },
      args.x);
}

void activation_backward(const ActivationBackward& args, CudaStream& stream) {
  with_layout(
      args.dx,
      [&](auto elem, auto width, const RowLaunch& l) {
        using Elem = decltype(elem);
        launch(stream, "activation_backward_kernel", activation_backward_kernel<width(), Elem>, l.grid,
               l.block, 0, l.tile, args.dx.channels(), rows_of<Elem>(args.dx), rows_of<Elem>(args.dy),
               rows_of<Elem>(args.x), args.activation);
      },
      args.dy, args.x);
}

void dropout(const Dropout& args, CudaStream& stream) {
  with_layout(
      args.y,
      [&](auto elem, auto width, const RowLaunch& l) {
        using Elem = decltype(elem);
        launch(stream, "dropout_kernel", dropout_kernel<width(), Elem>, l.grid, l.block, 0, l.tile,
               args.y.channels(), rows_of<Elem>(args.y), rows_of<Elem>(args.x), args.mask,
               1.0f / (1.0f - args.mask.p));
      },
      args.x);
}

}  // namespace mg
