#include "kernels/cuda/pack.cuh"

#include <algorithm>

#include "kernels/cuda/column_sums.cuh"

namespace mg::cuda {

namespace {

// Tiles that are transposed by 32 x 8 threads: kTileOutputs outputs k by kTileEntries entries j = c * taps +
// tap of a dense row of weights.
constexpr int kTileOutputs = 64, kTileEntries = 32;
// Even outputs lie before odd ones: 32 lanes that each take a pair then touch 32 banks, at an odd pitch.
__device__ __forceinline__ int tile_row(int output) {
  return (output & 1) * (kTileOutputs / 2) + (output >> 1);
}

// Thread (x, y) reads entry x of outputs y, y + 8, ..., and writes outputs 2 x and 2 x + 1 of entries y, y +
// 8, ... w: [outputs][channels * taps]. Shared: the tile; a
// column of padding makes its columns conflict-free.
template <class From, class To>
__global__ void __launch_bounds__(256)
    pack_weights_kernel(const From* __restrict__ w, To* __restrict__ packed,
                        const __grid_constant__ PackedShape s) {
  __shared__ float tile[kTileOutputs][kTileEntries + 1];
  const int first_j = static_cast<int>(blockIdx.x) * kTileEntries,
            first_k = static_cast<int>(blockIdx.y) * kTileOutputs;
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y), depth = s.channels * s.taps;
  const From* from = w + static_cast<std::int64_t>(first_k + y) * depth + first_j + x;
  const std::int64_t stride = 8 * static_cast<std::int64_t>(depth);
#pragma unroll
  for (int i = 0; i < kTileOutputs; i += 8, from += stride) {
    const bool inside = first_k + y + i < s.outputs && first_j + x < depth;
    tile[tile_row(y + i)][x] = inside ? to_f32(*from) : 0.0f;
  }
  __syncthreads();
  struct alignas(2 * sizeof(To)) Pair {
    To low, high;
  };
  const int k = first_k + 2 * x;
#pragma unroll
  for (int i = 0; i < kTileEntries; i += 8) {
    const int j = first_j + y + i, c = s.by_taps(j), tap = j - c * s.taps;
    if (c >= s.channel_pitch || k >= s.output_pitch) continue;
    auto* to = packed + s.row(c, tap) * s.output_pitch + k;
    *reinterpret_cast<Pair*>(to) = {from_f32<To>(tile[x][y + i]),
                                    from_f32<To>(tile[kTileOutputs / 2 + x][y + i])};
  }
}

// The way back: thread (x, y) sums the slices of outputs 2 x and 2 x + 1 of entries y, y + 8, ..., and writes
// entry x of outputs y, y + 8, ...
__global__ void __launch_bounds__(256)
    sum_slices_kernel(const float* __restrict__ partial, int slices, const __grid_constant__ PackedShape s,
                      float* __restrict__ dw) {
  __shared__ float tile[kTileOutputs][kTileEntries + 1];
  const int first_j = static_cast<int>(blockIdx.x) * kTileEntries,
            first_k = static_cast<int>(blockIdx.y) * kTileOutputs;
  const int x = static_cast<int>(threadIdx.x), y = static_cast<int>(threadIdx.y), depth = s.channels * s.taps;
  const std::int64_t slice = s.rows() * s.output_pitch;
  const int k = first_k + 2 * x;
#pragma unroll
  for (int i = 0; i < kTileEntries; i += 8) {
    const int j = first_j + y + i, c = s.by_taps(j), tap = j - c * s.taps;
    float2 sum = make_float2(0.0f, 0.0f);
    if (j < depth && k < s.output_pitch) {
      const float* from = partial + s.row(c, tap) * s.output_pitch + k;
      for (int n = 0; n < slices; ++n, from += slice) {
        const float2 v = *reinterpret_cast<const float2*>(from);
        sum.x += v.x;
        sum.y += v.y;
      }
    }
    tile[x][y + i] = sum.x;
    tile[kTileOutputs / 2 + x][y + i] = sum.y;
  }
  __syncthreads();
  float* to = dw + static_cast<std::int64_t>(first_k + y) * depth + first_j + x;
  const std::int64_t stride = 8 * static_cast<std::int64_t>(depth);
#pragma unroll
  for (int i = 0; i < kTileOutputs; i += 8, to += stride) {
    if (first_k + y + i < s.outputs && first_j + x < depth) *to = tile[tile_row(y + i)][x];
  }
}

// A thread makes four elements of a row of y. x: [rows] at x_pitch, y: [rows] at y_pitch, a multiple of 4,
// zeros from `channels` on.
template <class Elem>
__global__ void __launch_bounds__(256)
    copy_rows_kernel(const Elem* __restrict__ x, std::int64_t x_pitch, Elem* __restrict__ y, int y_pitch,
                     int channels, std::int64_t quads, InputTransform transform) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i >= quads) return;
  const std::int64_t row = i / (y_pitch / 4);
  const int first = static_cast<int>(i - row * (y_pitch / 4)) * 4;
  alignas(4 * sizeof(Elem)) Elem raw[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const int c = first + j;
    float v = 0;
    if (c < channels) {
      v = to_f32(x[row * x_pitch + c]);
      if (transform.scale != nullptr) {
        v = fmaf(transform.scale[c], v, transform.shift[c]);
        if (transform.relu && v < 0) v = 0;
      }
    }
    raw[j] = from_f32<Elem>(v);
  }
  Elem* to = y + row * y_pitch + first;
  if constexpr (sizeof(Elem) == 4) {
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(raw);
  } else {
    *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(raw);
  }
}

// Block (channels of 32, block of rows): thread (x, y) sums channel x over rows y, y + 8, ...; partial:
// [row blocks][channels]. Shared: a sum a thread.
template <class Elem>
__global__ void __launch_bounds__(256)
    sum_rows_kernel(const Elem* __restrict__ x, std::int64_t pitch, std::int64_t rows, int rows_a_block,
                    int channels, float* __restrict__ partial) {
  __shared__ float sums[8][32];
  const int c = static_cast<int>(blockIdx.y * 32 + threadIdx.x), y = static_cast<int>(threadIdx.y);
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * rows_a_block;
  const std::int64_t end = min(rows, begin + rows_a_block);
  float sum = 0;
  if (c < channels) {
    for (std::int64_t r = begin + y; r < end; r += 8) sum += to_f32(x[r * pitch + c]);
  }
  sums[y][threadIdx.x] = sum;
  __syncthreads();
  if (y == 0 && c < channels) {
    for (int i = 1; i < 8; ++i) sum += sums[i][threadIdx.x];
    partial[static_cast<std::int64_t>(blockIdx.x) * channels + c] = sum;
  }
}
struct StoreSum {
  float* sums;
  __device__ void operator()(int c, double total) const { sums[c] = static_cast<float>(total); }
};

dim3 transpose_grid(std::int64_t entries, int outputs) {
  return {static_cast<unsigned>(ceil_div(entries, kTileEntries)),
          static_cast<unsigned>(ceil_div(outputs, kTileOutputs)), 1};
}

}  // namespace

PackedShape packed_shape(const Shape& w, int channel_pitch, int chunk) {
  return packed_shape(w, channel_pitch, chunk, channel_pitch);
}
PackedShape packed_shape(const Shape& w, int channel_pitch, int chunk, int block) {
  PackedShape s;
  s.outputs = static_cast<int>(w[0]);
  s.channels = static_cast<int>(w[1]);
  s.taps = static_cast<int>(w.count() / (w[0] * w[1]));
  s.by_taps = FastDivide(static_cast<std::uint32_t>(s.taps));
  s.channel_pitch = channel_pitch;
  s.block = block;
  s.by_block = FastDivide(static_cast<std::uint32_t>(block));
  s.output_pitch = static_cast<int>(round_up(w[0], chunk));
  return s;
}

const void* pack_weights(CudaStream& stream, const ConstView& w, const PackedShape& shape, DType type) {
  void* packed =
      stream.workspace(kWeights, static_cast<std::size_t>(shape.rows() * shape.output_pitch * size_of(type)));
  with_elem(w.dtype, [&](auto from) {
    with_elem(type, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      launch(stream, "pack_weights_kernel", pack_weights_kernel<From, To>,
             transpose_grid(shape.rows(), shape.output_pitch), dim3(32, 8), 0, data<From>(w),
             static_cast<To*>(packed), shape);
    });
  });
  return packed;
}

void sum_slices(CudaStream& stream, const float* partial, int slices, const PackedShape& shape,
                const View& dw) {
  launch(stream, "sum_slices_kernel", sum_slices_kernel,
         transpose_grid(std::int64_t{shape.channels} * shape.taps, shape.outputs), dim3(32, 8), 0, partial,
         slices, shape, dw.f32());
}

ConstView readable_rows(CudaStream& stream, int slot, const ConstView& x, std::int64_t pitch, int copy_bytes,
                        const InputTransform& transform) {
  const std::int64_t bytes = x.pitch * size_of(x.dtype);
  if (transform.scale == nullptr && x.pitch >= pitch && bytes % copy_bytes == 0 &&
      reinterpret_cast<std::uintptr_t>(x.data) % static_cast<std::uintptr_t>(copy_bytes) == 0) {
    return x;
  }
  const std::int64_t quads = x.rows() * (pitch / 4);
  void* copy = stream.workspace(slot, static_cast<std::size_t>(x.rows() * pitch * size_of(x.dtype)));
  with_elem(x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    launch(stream, "copy_rows_kernel", copy_rows_kernel<Elem>,
           dim3(static_cast<unsigned>(ceil_div(quads, 256))), 256, 0, data<Elem>(x), x.pitch,
           static_cast<Elem*>(copy), pitch, x.channels(), quads, transform);
  });
  return {copy, x.dtype, x.shape, pitch};
}

void sum_rows(CudaStream& stream, const ConstView& x, float* sums) {
  constexpr int kRows = 256;
  const int channels = static_cast<int>(x.channels());
  // At most 1024 blocks of rows, cut by shape.
  const auto rows_a_block =
      static_cast<int>(round_up(std::max<std::int64_t>(kRows, ceil_div(x.rows(), 1024)), 8));
  const auto blocks = static_cast<int>(ceil_div(x.rows(), rows_a_block));
  auto* partial = static_cast<float*>(stream.workspace(
      kBiasPartial, static_cast<std::size_t>(blocks) * static_cast<std::size_t>(channels) * 4));
  const auto strips = static_cast<unsigned>(ceil_div(channels, 32));
  with_elem(x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    launch(stream, "sum_rows_kernel", sum_rows_kernel<Elem>, dim3(static_cast<unsigned>(blocks), strips),
           dim3(32, 8), 0, data<Elem>(x), x.pitch, x.rows(), rows_a_block, channels, partial);
  });
  column_totals(stream, "sum_row_blocks_kernel", partial, blocks, channels, StoreSum{sums});
}

}  // namespace mg::cuda
