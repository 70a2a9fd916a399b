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

constexpr int kShortSegment = 8;  // positions that a thread adds by itself
constexpr int kWarps = kRowThreads / 32;
constexpr int kLongChunks = 16;  // column chunks of a block in a long segment: 16 lanes share its positions
constexpr int kBlockSegments = 64;  // that a block looks for long ones in

// A warp a segment, those of more than kShortSegment positions aside. dx: [any, channels], dy: [positions,
// channels], of any two element types.
template <int kWidth, class To, class From>
__global__ void __launch_bounds__(kRowThreads)
    gather_rows_backward_kernel(int channels, Rows<To> dx, Rows<const From> dy, RowSegments segments) {
  const std::int64_t segment = blockIdx.x * std::int64_t{kWarps} + threadIdx.x / 32;
  if (segment >= segments.count) return;
  const int begin = segments.starts[segment], end = segments.starts[segment + 1];
  if (end - begin > kShortSegment) return;
  const std::int64_t row = segments.rows[segment];
  for (int c = static_cast<int>(threadIdx.x) % 32 * kWidth; c < dx.pitch; c += 32 * kWidth) {
    float sums[kWidth] = {};
    if (c < channels) add_segment(sums, dy, segments.order, begin, end, 1, c);
    zero_padding(sums, c, channels);
    store_chunk(dx.at(row, c), sums);
  }
}

// The long ones among segments kBlockSegments * blockIdx.x ..., one after the other: positions are dealt to
// the lanes of tile, whose sums are added by sum_lanes; block y takes kLongChunks column chunks.
template <int kWidth, class To, class From>
__global__ void __launch_bounds__(kRowThreads)
    gather_long_rows_backward_kernel(RowTile tile, int channels, Rows<To> dx, Rows<const From> dy,
                                     RowSegments segments) {
  __shared__ int starts[kBlockSegments + 1];
  __shared__ LaneSums<kWidth, kWidth> shared;
  const std::int64_t first = blockIdx.x * std::int64_t{kBlockSegments};
  const int thread = static_cast<int>(threadIdx.x);
  if (thread <= kBlockSegments)
    starts[thread] = segments.starts[first + thread < segments.count ? first + thread : segments.count];
  __syncthreads();
  const int column = tile.column<kWidth>();
  for (int s = 0; s < kBlockSegments; ++s) {
    if (starts[s + 1] - starts[s] <= kShortSegment) continue;
    float sums[kWidth] = {};
    if (column < channels)
      add_segment(sums, dy, segments.order, starts[s] + tile.lane(), starts[s + 1], tile.lanes, column);
    sum_lanes(shared, tile, sums);
    __syncthreads();  // the next segment's sums go where these were
    if (tile.lane() != 0 || column >= dx.pitch) continue;
    zero_padding(sums, column, channels);
    store_chunk(dx.at(segments.rows[first + s], column), sums);
  }
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
    const std::int64_t count = args.segments.count;
    launch(stream, "gather_rows_backward_kernel", gather_rows_backward_kernel<width(), To, From>,
           static_cast<unsigned>(ceil_div(count, kWarps)), kRowThreads, 0, args.dx.channels(),
           rows_of<To>(args.dx), rows_of<From>(args.dy), args.segments);
    if (args.dy.rows() <= kShortSegment) return;
    const RowTile tile{0, 0, kLongChunks, kRowThreads / kLongChunks};
    launch(stream, "gather_long_rows_backward_kernel", gather_long_rows_backward_kernel<width(), To, From>,
           dim3(static_cast<unsigned>(ceil_div(count, kBlockSegments)),
                static_cast<unsigned>(ceil_div<std::int64_t>(args.dx.pitch, kLongChunks * width()))),
           kRowThreads, 0, tile, args.dx.channels(), rows_of<To>(args.dx), rows_of<From>(args.dy),
           args.segments);
  });
}

}  // namespace mg
