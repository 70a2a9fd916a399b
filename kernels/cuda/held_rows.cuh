// Whole rows held in registers: a warp, or a few, take a row, each thread up to kHeld of its elements, so
// that a row is read once however often it is gone over.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace mg::cuda {

inline constexpr int kHeld = 24;         // elements of a row in a thread: a warp holds 768
inline constexpr int kMostRowWarps = 8;  // 6144 channels
inline constexpr int kRowGroups = 8;     // rows side by side in a block, where a warp holds a row
inline constexpr int kHeldThreads = 32 * kMostRowWarps;

struct HeldTile {
  std::int64_t rows, strip;  // of the tensor, and of one block
  int warps;                 // to a row

  __device__ int groups() const { return warps == 1 ? kRowGroups : 1; }
  __device__ int group() const { return warps == 1 ? static_cast<int>(threadIdx.x) / 32 : 0; }
  __device__ std::int64_t first() const { return blockIdx.x * strip + group(); }
  __device__ std::int64_t end() const {
    const std::int64_t next = (blockIdx.x + std::int64_t{1}) * strip;
    return next < rows ? next : rows;
  }
  // Chunk i of this thread begins there.
  template <int kWidth>
  __device__ int column(int i) const {
    const int thread = warps == 1 ? static_cast<int>(threadIdx.x) % 32 : static_cast<int>(threadIdx.x);
    return (thread + i * 32 * warps) * kWidth;
  }
};

struct HeldLaunch {
  HeldTile tile;
  dim3 grid, block;
};

// Cut by shape alone: about 1024 groups of rows at most, so that what belongs to a channel is read for
// several rows.
inline HeldLaunch held_launch(const char* name, std::int64_t rows, std::int64_t width,
                              std::int64_t rows_a_group) {
  const auto warps = static_cast<int>(ceil_div<std::int64_t>(width, 32 * kHeld));
  if (warps > kMostRowWarps) {
    throw CudaError(CudaError::Kind::failed, std::string("CUDA: ") + name + ": rows of more than " +
                                                 std::to_string(kMostRowWarps * 32 * kHeld) + " channels");
  }
  const int groups = warps == 1 ? kRowGroups : 1;
  const std::int64_t strip = groups * std::max(rows_a_group, ceil_div<std::int64_t>(rows, 1024));
  return {{rows, strip, warps},
          dim3(static_cast<unsigned>(ceil_div(rows, strip))),
          dim3(static_cast<unsigned>(32 * warps * groups))};
}

// Over the threads of a row, in a fixed order; each gets the result. All threads of the block must call.
__device__ __forceinline__ float row_sum(const HeldTile& tile, float x) {
  x = warp_sum(x);
  if (tile.warps == 1) return x;
  __shared__ float shared[kMostRowWarps];
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < tile.warps; ++w) sum += shared[w];
  __syncthreads();  // the next sum writes there
  return sum;
}

// This thread's part of row r, zero past the last channel.
template <int kWidth, class Elem>
__device__ __forceinline__ void load_held(float (&values)[kHeld / kWidth][kWidth], const HeldTile& tile,
                                          Rows<const Elem> x, std::int64_t r, int channels) {
#pragma unroll
  for (int i = 0; i < kHeld / kWidth; ++i) {
    const int c = tile.column<kWidth>(i);
    if (c < channels) {
      load_chunk(values[i], x.at(r, c));
    } else {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) values[i][j] = 0.0f;
    }
  }
}

// A vector of one number a channel, passed through shared memory where several warps want it: element j of
// chunk i at [j][i], without bank conflicts both ways.
template <int kWidth>
struct HeldChannels {
  static constexpr int kChunks = 32 * kHeld / kWidth;
  float numbers[kWidth][kChunks + 32 / kWidth];
};
template <int kWidth>
__device__ __forceinline__ void load_held_channels(float (&values)[kHeld / kWidth][kWidth],
                                                   HeldChannels<kWidth>& shared, const HeldTile& tile,
                                                   const float* vector, int channels) {
  if (tile.warps > 1) {
#pragma unroll
    for (int i = 0; i < kHeld / kWidth; ++i)
      load_channels(values[i], vector, tile.column<kWidth>(i), channels);
    return;
  }
  for (int c = static_cast<int>(threadIdx.x); c < 32 * kHeld; c += static_cast<int>(blockDim.x)) {
    shared.numbers[c % kWidth][c / kWidth] = c < channels ? vector[c] : 0.0f;
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    values[i / kWidth][i % kWidth] = shared.numbers[i % kWidth][tile.column<kWidth>(i / kWidth) / kWidth];
  }
}
// Writes it, padding as zero.
template <int kWidth, class Elem>
__device__ __forceinline__ void store_held(float (&values)[kHeld / kWidth][kWidth], const HeldTile& tile,
                                           Rows<Elem> y, std::int64_t r, int channels) {
#pragma unroll
  for (int i = 0; i < kHeld / kWidth; ++i) {
    const int c = tile.column<kWidth>(i);
    if (c >= y.pitch) continue;
    zero_padding(values[i], c, channels);
    store_chunk(y.at(r, c), values[i]);
  }
}

}  // namespace mg::cuda
