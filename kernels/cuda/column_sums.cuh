// Sums down the columns of a tensor, in a fixed order that only its shape decides: fp32 in a thread and over
// the lanes of a block, one line of partial sums a block, and these in double.
#pragma once

#include "kernels/cuda/rows.cuh"

namespace mg::cuda {

// What the lanes of a block leave for each other: kCount numbers a thread.
template <int kCount, int kWidth>
struct LaneSums {
  float numbers[kCount][kRowThreads + 32 / kWidth];  // without bank conflicts across and along
};

// Adds sums over the lanes of a block; those of lane 0, and what is shared of theirs, are the totals. All
// threads of the block must call.
template <int kCount, int kWidth>
__device__ __forceinline__ void sum_lanes(LaneSums<kCount, kWidth>& shared, const RowTile& tile,
                                          float (&sums)[kCount]) {
  const int thread = static_cast<int>(threadIdx.x), lane = tile.lane();
#pragma unroll
  for (int i = 0; i < kCount; ++i) shared.numbers[i][thread] = sums[i];
  int step = 1;
  while (2 * step < tile.lanes) step *= 2;
  for (; step > 0; step /= 2) {
    __syncthreads();
    if (lane >= step || lane + step >= tile.lanes) continue;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      sums[i] += shared.numbers[i][thread + step * tile.chunks];
      shared.numbers[i][thread] = sums[i];
    }
  }
}

// Sums over the block's strip, kTerms * kWidth numbers a thread, to line blockIdx.x of partial [blocks,
// kTerms, channels]. All threads of the block must call.
template <int kTerms, int kWidth>
__device__ __forceinline__ void store_strip_sums(const RowTile& tile, int channels,
                                                 float (&sums)[kTerms * kWidth], float* partial) {
  __shared__ LaneSums<kTerms * kWidth, kWidth> shared;
  sum_lanes(shared, tile, sums);
  __syncthreads();
  const int first = static_cast<int>(blockIdx.y) * tile.chunks * kWidth;
  float* line = partial + blockIdx.x * static_cast<std::int64_t>(kTerms * channels) + first;
#pragma unroll
  for (int term = 0; term < kTerms; ++term) {
    for (int i = static_cast<int>(threadIdx.x); i < tile.chunks * kWidth; i += static_cast<int>(blockDim.x)) {
      if (first + i < channels)
        line[term * channels + i] = shared.numbers[term * kWidth + i % kWidth][i / kWidth];
    }
  }
}

// Thread (x, y): column blockIdx.x * blockDim.x + x, and parts y, y + blockDim.y, ... of partial [parts,
// columns]; then emit(column, total). blockDim.x * blockDim.y = 1024, powers of two. Shared: 8 KiB, static.
template <class Emit>
__global__ void __launch_bounds__(1024)
    column_totals_kernel(const float* partial, std::int64_t parts, int columns, Emit emit) {
  __shared__ double shared[1024];
  const int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const unsigned slot = threadIdx.y * blockDim.x + threadIdx.x;
  double sum = 0;
  if (column < columns) {
#pragma unroll 4
    for (std::int64_t p = threadIdx.y; p < parts; p += blockDim.y)
      sum += static_cast<double>(partial[p * columns + column]);
  }
  shared[slot] = sum;
  for (unsigned step = blockDim.y / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.y >= step) continue;
    sum += shared[slot + step * blockDim.x];
    shared[slot] = sum;
  }
  if (threadIdx.y == 0 && column < columns) emit(column, sum);
}

inline dim3 column_totals_block(std::int64_t columns) {
  unsigned x = 1;
  while (x < 32 && x < columns) x *= 2;
  return {x, 1024 / x};
}

template <class Emit>
void column_totals(CudaStream& stream, const char* name, const float* partial, std::int64_t parts,
                   std::int64_t columns, const Emit& emit) {
  const dim3 block = column_totals_block(columns);
  launch(stream, name, column_totals_kernel<Emit>,
         static_cast<unsigned>(ceil_div<std::int64_t>(columns, block.x)), block, 0, partial, parts, columns,
         emit);
}

}  // namespace mg::cuda
