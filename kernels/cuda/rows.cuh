// How threads lie on rows of channels in kernels that are bound by memory. A block takes a strip of rows and
// all columns, or a group of them; a thread keeps its kWidth columns (16 bytes of the widest element type, or
// one element where rows are not aligned) and walks down the rows, so that what belongs to a channel is read
// once and stays in registers.
#pragma once

#include <algorithm>

#include "kernels/cuda/launch.cuh"

namespace mg::cuda {

inline constexpr int kRowThreads = 256;

struct RowTile {
  std::int64_t rows, strip;  // of the tensor, and of one block
  int chunks, lanes;         // of kWidth columns in a column group; rows side by side in a block

  __device__ int lane() const { return static_cast<int>(threadIdx.x) / chunks; }
  template <int kWidth>
  __device__ int column() const {
    return (static_cast<int>(blockIdx.y) * chunks + static_cast<int>(threadIdx.x) % chunks) * kWidth;
  }
  // This thread's rows are first(), first() + lanes, ... below end().
  __device__ std::int64_t first() const { return lane() < lanes ? blockIdx.x * strip + lane() : rows; }
  __device__ std::int64_t end() const {
    const std::int64_t next = (blockIdx.x + std::int64_t{1}) * strip;
    return next < rows ? next : rows;
  }
};

struct RowLaunch {
  RowTile tile;
  dim3 grid, block;
};

// Cut by shape alone. rows_a_lane: how many rows a thread walks down, at least; more where that would make
// more than most_blocks strips. most_chunks: in a column group.
inline RowLaunch row_launch(std::int64_t rows, std::int64_t width, int columns_a_thread,
                            std::int64_t rows_a_lane, std::int64_t most_blocks = std::int64_t{1} << 30,
                            int most_chunks = kRowThreads) {
  const auto all = static_cast<int>(std::max<std::int64_t>(1, ceil_div(width, columns_a_thread)));
  // Groups begin at whole lines of 128 bytes.
  const int chunks =
      all <= most_chunks ? all : static_cast<int>(round_up(ceil_div(all, ceil_div(all, most_chunks)), 8));
  const int groups = ceil_div(all, chunks);
  const int lanes =
      static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(kRowThreads / chunks, rows)));
  const std::int64_t strip = lanes * std::max(rows_a_lane, ceil_div(rows, lanes * most_blocks));
  return {{rows, strip, chunks, lanes},
          dim3(static_cast<unsigned>(ceil_div(rows, strip)), static_cast<unsigned>(groups)),
          dim3(static_cast<unsigned>(round_up(lanes * chunks, 32)))};
}

// For kernels that read numbers of channels, or write sums: column groups of 32 chunks, so that eight lanes
// or more share them. rows_a_lane as above.
inline constexpr int kChannelChunks = 32;
inline RowLaunch channel_launch(std::int64_t rows, std::int64_t width, int columns_a_thread,
                                std::int64_t most_blocks) {
  return row_launch(rows, width, columns_a_thread, 8, most_blocks, kChannelChunks);
}

// A view as a kernel takes it.
template <class Elem>
struct Rows {
  Elem* data;
  std::int64_t pitch;
  __device__ Elem* at(std::int64_t row, int column) const { return data + row * pitch + column; }
};
template <class Elem>
Rows<Elem> rows_of(const View& view) {
  return {data<Elem>(view), view.pitch};
}
template <class Elem>
Rows<const Elem> rows_of(const ConstView& view) {
  return {data<Elem>(view), view.pitch};
}

inline bool aligned(const ConstView& view, int width) {
  return !view ||
         (view.pitch % width == 0 && reinterpret_cast<std::uintptr_t>(view.data) %
                                             static_cast<std::uintptr_t>(width * size_of(view.dtype)) ==
                                         0);
}

// Calls f(std::integral_constant<int, kWidth>) with the columns a thread takes: 16 bytes of Widest where
// every view (empty ones aside) allows it, else 1.
template <class Widest, class F, class... Views>
void with_width(F&& f, const Views&... views) {
  constexpr int kWidth = 16 / sizeof(Widest);
  if ((aligned(views, kWidth) && ...)) return f(std::integral_constant<int, kWidth>{});
  return f(std::integral_constant<int, 1>{});
}

template <int kBytes>
struct RawChunk;
template <>
struct RawChunk<2> {
  using Type = unsigned short;
};
template <>
struct RawChunk<4> {
  using Type = unsigned;
};
template <>
struct RawChunk<8> {
  using Type = uint2;
};
template <>
struct RawChunk<16> {
  using Type = uint4;
};

// kWidth elements in one access of up to 16 bytes, as floats.
template <int kWidth, class Elem>
__device__ __forceinline__ void load_chunk(float (&values)[kWidth], const Elem* p) {
  using Raw = typename RawChunk<kWidth * sizeof(Elem)>::Type;
  const Raw raw = *reinterpret_cast<const Raw*>(p);
  const Elem* each = reinterpret_cast<const Elem*>(&raw);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) values[j] = to_f32(each[j]);
}
template <int kWidth, class Elem>
__device__ __forceinline__ void store_chunk(Elem* p, const float (&values)[kWidth]) {
  using Raw = typename RawChunk<kWidth * sizeof(Elem)>::Type;
  Raw raw;
  Elem* each = reinterpret_cast<Elem*>(&raw);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) each[j] = from_f32<Elem>(values[j]);
  *reinterpret_cast<Raw*>(p) = raw;
}

// Numbers of channels column .. column + kWidth - 1 from a dense vector; 0 past its end.
template <int kWidth>
__device__ __forceinline__ void load_channels(float (&values)[kWidth], const float* vector, int column,
                                              int channels) {
  if constexpr (kWidth % 4 == 0) {
    if (column + kWidth <= channels && reinterpret_cast<std::uintptr_t>(vector) % 16 == 0) {
      load<kWidth>(values, vector + column);
      return;
    }
  }
#pragma unroll
  for (int j = 0; j < kWidth; ++j) values[j] = column + j < channels ? vector[column + j] : 0.0f;
}

// The same for each of some vectors, read once for a block whose column group has kChannelChunks chunks at
// most. All threads of the block must call. Shared: kVectors * (32 * kWidth + 32) * 4 bytes, static.
template <int kVectors, int kWidth>
__device__ __forceinline__ void load_block_channels(float (&values)[kVectors][kWidth], const RowTile& tile,
                                                    const float* const (&vectors)[kVectors], int channels) {
  // Element j of chunk i at [j][i]: without bank conflicts both ways.
  __shared__ float shared[kVectors][kWidth][kChannelChunks + 32 / kWidth];
  const int first = static_cast<int>(blockIdx.y) * tile.chunks * kWidth;
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    for (int i = static_cast<int>(threadIdx.x); i < tile.chunks * kWidth; i += static_cast<int>(blockDim.x)) {
      shared[v][i % kWidth][i / kWidth] = first + i < channels ? vectors[v][first + i] : 0.0f;
    }
  }
  __syncthreads();
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[v][j] = shared[v][j][static_cast<int>(threadIdx.x) % tile.chunks];
  }
}

// What lies past the last channel is padding: zero.
template <int kWidth>
__device__ __forceinline__ void zero_padding(float (&values)[kWidth], int column, int channels) {
#pragma unroll
  for (int j = 0; j < kWidth; ++j) values[j] = column + j < channels ? values[j] : 0.0f;
}

// y[row, column ..] = what f(row, column, values) puts there, padding zero. f may prepare nothing: it is
// called only for columns that hold channels.
template <int kWidth, class Elem, class F>
__device__ __forceinline__ void write_rows(const RowTile& tile, Rows<Elem> y, int channels, F f) {
  const int column = tile.column<kWidth>();
  if (column >= y.pitch) return;
  const std::int64_t end = tile.end();
  for (std::int64_t r = tile.first(); r < end; r += tile.lanes) {
    float values[kWidth] = {};
    if (column < channels) f(r, column, values);
    zero_padding(values, column, channels);
    store_chunk(y.at(r, column), values);
  }
}

}  // namespace mg::cuda
