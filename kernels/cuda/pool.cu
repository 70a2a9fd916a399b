// Global average pooling: a block sums the positions of one sample over a few columns; its gradient spreads
// dy over them.
#include "kernels/pool.h"

#include "kernels/cuda/column_sums.cuh"

namespace mg {

namespace {

using namespace cuda;

// Thread: a column chunk (8 side by side: 128 bytes) and every lanes-th position of sample blockIdx.x.
// tile.rows: positions. y: [samples, channels], x: [samples, positions, channels].
template <int kWidth, class Elem>
__global__ void __launch_bounds__(kRowThreads)
    global_average_pool_forward_kernel(RowTile tile, int channels, Rows<Elem> y, Rows<const Elem> x) {
  const int column = tile.column<kWidth>();
  float sums[kWidth] = {};
  if (column < channels && tile.lane() < tile.lanes) {
    const std::int64_t first = blockIdx.x * tile.rows;
#pragma unroll 4
    for (std::int64_t p = tile.lane(); p < tile.rows; p += tile.lanes) {
      float values[kWidth];
      load_chunk(values, x.at(first + p, column));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sums[j] += values[j];
    }
  }
  __shared__ LaneSums<kWidth, kWidth> shared;
  sum_lanes(shared, tile, sums);
  if (tile.lane() != 0 || column >= y.pitch) return;
#pragma unroll
  for (int j = 0; j < kWidth; ++j) sums[j] /= static_cast<float>(tile.rows);
  zero_padding(sums, column, channels);
  store_chunk(y.at(blockIdx.x, column), sums);
}

// Block: a strip of tile.strip of the tile.rows positions of a sample, `strips` to a sample; dy is read once
// a thread. dx: [samples, positions, channels], dy: [samples, channels].
template <int kWidth, class Elem>
__global__ void global_average_pool_backward_kernel(RowTile tile, unsigned strips, int channels,
                                                    Rows<Elem> dx, Rows<const Elem> dy, float factor) {
  const int column = tile.column<kWidth>();
  if (column >= dx.pitch || tile.lane() >= tile.lanes) return;
  const std::int64_t sample = blockIdx.x / strips, begin = blockIdx.x % strips * tile.strip;
  const std::int64_t end = begin + tile.strip < tile.rows ? begin + tile.strip : tile.rows;
  float values[kWidth] = {};
  if (column < channels) load_chunk(values, dy.at(sample, column));
#pragma unroll
  for (int j = 0; j < kWidth; ++j) values[j] *= factor;
  zero_padding(values, column, channels);
  for (std::int64_t p = begin + tile.lane(); p < end; p += tile.lanes) {
    store_chunk(dx.at(sample * tile.rows + p, column), values);
  }
}

}  // namespace

void global_average_pool_forward(const GlobalAveragePoolForward& args, CudaStream& stream) {
  const std::int64_t samples = args.y.rows();
  if (samples == 0) return;
  with_elem(args.x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          const std::int64_t positions = args.x.rows() / samples, all = ceil_div(args.y.pitch, width());
          const int chunks = static_cast<int>(std::min<std::int64_t>(8, all));
          const RowTile tile{positions, positions, chunks, kRowThreads / chunks};
          launch(stream, "global_average_pool_forward_kernel",
                 global_average_pool_forward_kernel<width(), Elem>,
                 dim3(static_cast<unsigned>(samples), static_cast<unsigned>(ceil_div(all, chunks))),
                 kRowThreads, 0, tile, args.x.channels(), rows_of<Elem>(args.y), rows_of<Elem>(args.x));
        },
        args.y, args.x);
  });
}

void global_average_pool_backward(const GlobalAveragePoolBackward& args, CudaStream& stream) {
  const std::int64_t samples = args.dy.rows();
  if (samples == 0) return;
  const std::int64_t positions = args.dx.rows() / samples;
  with_elem(args.dx.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          const RowLaunch l = row_launch(positions, args.dx.pitch, width, 16);
          launch(stream, "global_average_pool_backward_kernel",
                 global_average_pool_backward_kernel<width(), Elem>,
                 dim3(static_cast<unsigned>(samples * l.grid.x), l.grid.y), l.block, 0, l.tile, l.grid.x,
                 args.dx.channels(), rows_of<Elem>(args.dx), rows_of<Elem>(args.dy),
                 1.0f / static_cast<float>(positions));
        },
        args.dx, args.dy);
  });
}

}  // namespace mg
