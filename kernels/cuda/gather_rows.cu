// Rows by index, and the gradient as sums over sorted segments: one for each row that occurs. Rows that do
// not occur are zeroed beforehand.
#include "kernels/gather_rows.h"

#include "kernels/cuda/column_sums.cuh"

namespace mg {

namespace {

using namespace cuda;

// y: [indices, channels], x: [any, channels], of any two element types.
template <int kWidth, class To, class From>
__global__ void gather_rows_forward_kernel(RowTile tile, int channels, Rows<To> y, Rows<const From> x,
                                           const std::int32_t* indices) {
  write_rows<kWidth>(tile, y, channels, [&](std::int64_t r, int c, float(&values)[kWidth]) {
    load_chunk(values, x.at(indices[r], c));
  });
}

// sums += dy[order[s]] for s = begin, begin + step, ... below end.
template <int kWidth, class From>
__device__ __forceinline__ void add_segment(float (&sums)[kWidth], Rows<const From> dy,
                                            const std::int32_t* order, int begin, int end, int step,
                                            int column) {
#pragma unroll 4
  for (int s = begin; s < end; s += step) {
    float values[kWidth];
    load_chunk(values, dy.at(order[s], column));
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sums[j] += values[j];
  }
}

constexpr int kShortSegment = 8;
constexpr int kLongChunks = 16;  // column chunks of a block in a long segment: 16 lanes share its positions

// Block (segment, y). Short segments are summed by block y = 0 alone, a thread a column chunk; of long ones
// block y takes kLongChunks chunks, positions dealt to the lanes of tile, whose sums are added by sum_lanes.
// dx: [any, channels], dy: [positions, channels], of any two element types.
template <int kWidth, class To, class From>
__global__ void __launch_bounds__(kRowThreads)
    gather_rows_backward_kernel(RowTile tile, int channels, Rows<To> dx, Rows<const From> dy,
                                RowSegments segments) {
  const std::int64_t row = segments.rows[blockIdx.x];
  const int begin = segments.starts[blockIdx.x], end = segments.starts[blockIdx.x + 1];
  if (end - begin <= kShortSegment) {
    if (blockIdx.y > 0) return;
    for (int c = static_cast<int>(threadIdx.x) * kWidth; c < dx.pitch; c += kRowThreads * kWidth) {
      float sums[kWidth] = {};
      if (c < channels) add_segment(sums, dy, segments.order, begin, end, 1, c);
      zero_padding(sums, c, channels);
      store_chunk(dx.at(row, c), sums);
    }
    return;
  }
  const int column = tile.column<kWidth>();
  float sums[kWidth] = {};
  if (column < channels) add_segment(sums, dy, segments.order, begin + tile.lane(), end, tile.lanes, column);
  sum_lanes(tile, sums);
  if (tile.lane() != 0 || column >= dx.pitch) return;
  zero_padding(sums, column, channels);
  store_chunk(dx.at(row, column), sums);
}

// f(A{}, B{}, width) for the element types of two views.
template <class F>
void with_two_views(const ConstView& a, const ConstView& b, F&& f) {
  with_elem(a.dtype, [&](auto first) {
    with_elem(b.dtype, [&](auto second) {
      using A = decltype(first);
      using B = decltype(second);
      with_width<std::conditional_t<sizeof(A) >= sizeof(B), A, B>>(
          [&](auto width) { f(first, second, width); }, a, b);
    });
  });
}

}  // namespace

void gather_rows_forward(const GatherRowsForward& args, CudaStream& stream) {
  with_two_views(args.y, args.x, [&](auto to, auto from, auto width) {
    using To = decltype(to);
    using From = decltype(from);
    const RowLaunch l = row_launch(args.y.rows(), args.y.pitch, width, 4);
    launch(stream, "gather_rows_forward_kernel", gather_rows_forward_kernel<width(), To, From>, l.grid,
           l.block, 0, l.tile, args.y.channels(), rows_of<To>(args.y), rows_of<From>(args.x), args.indices);
  });
}

void gather_rows_backward(const GatherRowsBackward& args, CudaStream& stream) {
  const std::int64_t rows = args.dx.rows();
  if (args.segments.count < rows) {
    stream.zero(args.dx.data, static_cast<std::size_t>(rows * args.dx.pitch * size_of(args.dx.dtype)));
  }
  with_two_views(args.dx, args.dy, [&](auto to, auto from, auto width) {
    using To = decltype(to);
    using From = decltype(from);
    const RowTile tile{0, 0, kLongChunks, kRowThreads / kLongChunks};
    const auto groups = static_cast<unsigned>(ceil_div<std::int64_t>(args.dx.pitch, kLongChunks * width()));
    launch(stream, "gather_rows_backward_kernel", gather_rows_backward_kernel<width(), To, From>,
           dim3(static_cast<unsigned>(args.segments.count), groups), kRowThreads, 0, tile, args.dx.channels(),
           rows_of<To>(args.dx), rows_of<From>(args.dy), args.segments);
  });
}

}  // namespace mg
