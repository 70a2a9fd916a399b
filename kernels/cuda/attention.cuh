// What the attention kernels share: their inputs, tiles of a head's rows in shared memory, dropout's bits,
// and the register tiles of the two ways to multiply: bf16 on tensor cores, fp32 by multiply-adds.
//
// A block has up to four warps of 16 rows each (queries, or keys in the gradients of keys and values) of one
// head, and walks over the other side in blocks; few rows make a block of fewer warps. Tiles are [rows][kDim]
// with zeros from channel dim on, rows padded by 16 bytes so that eight of them begin in different banks.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/attention.h"
#include "kernels/cuda/lane_tile.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"

namespace mg::cuda {

inline constexpr int kAttentionRows = 64;  // of a block

// fp32 weights on their way from registers to the second product, [rows][kOther]: two rows in different
// banks.
template <int kOther>
inline constexpr int kWeightPitch = kOther + 16;

template <class Elem>
struct AttentionInput {
  const Elem *q, *k, *v;
  std::int64_t q_pitch, k_pitch, v_pitch;
  int heads, queries, keys, dim;
  float scale;
  const std::int32_t* key_lengths;
  float dropout;
  std::uint32_t dropped_below;  // draws below are dropped: as uniform01(draw) < dropout, exactly
  RandomKey key;
  std::uint32_t sample_offset;
  bool vector;  // the rows of every head of every tensor begin at 16 bytes and are whole vectors
};

inline bool has_vectors(const ConstView& view, std::int64_t dim) {
  const std::int64_t each = 16 / size_of(view.dtype);
  return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.pitch % each == 0 && dim % each == 0;
}

template <class Elem>
AttentionInput<Elem> attention_input(const AttentionProblem& p) {
  const std::int64_t dim = p.q.channels() / p.heads;
  return {data<Elem>(p.q),
          data<Elem>(p.k),
          data<Elem>(p.v),
          p.q.pitch,
          p.k.pitch,
          p.v.pitch,
          p.heads,
          static_cast<int>(p.q.shape[1]),
          static_cast<int>(p.k.shape[1]),
          static_cast<int>(dim),
          p.scale,
          p.key_lengths,
          p.dropout,
          static_cast<std::uint32_t>(std::ceil(p.dropout * 16777216.0f)) << 8,
          p.key,
          p.sample_offset,
          has_vectors(p.q, dim) && has_vectors(p.k, dim) && has_vectors(p.v, dim)};
}

// Calls f with the head size that kernels are compiled for, the least that holds dim.
template <class F>
void with_head_tile(std::int64_t dim, F&& f) {
  if (dim <= 16) return f(std::integral_constant<int, 16>{});
  if (dim <= 32) return f(std::integral_constant<int, 32>{});
  if (dim <= 64) return f(std::integral_constant<int, 64>{});
  if (dim <= 128) return f(std::integral_constant<int, 128>{});
  throw CudaError(CudaError::Kind::failed, "attention: heads of more than 128 channels have no CUDA kernel");
}

// The threads for `rows` rows of one side: no more warps than have work.
inline int attention_threads(std::int64_t rows) {
  return 32 * static_cast<int>(std::min<std::int64_t>(kAttentionRows / 16, ceil_div(rows, 16)));
}

// A block's sample, head and first row; blocks of one head lie side by side, so that they share its rows in
// L2.
struct AttentionBlock {
  int b, h, row0, keys;

  template <class Elem>
  __device__ __forceinline__ AttentionBlock(const AttentionInput<Elem>& in, int rows) {
    const int tiles = ceil_div(rows, kAttentionRows);
    const int head = static_cast<int>(blockIdx.x) / tiles;
    row0 = static_cast<int>(blockIdx.x) % tiles * kAttentionRows;
    b = head / in.heads;
    h = head % in.heads;
    keys = in.key_lengths != nullptr ? in.key_lengths[b] : in.keys;
  }
};

// Row `row` of this block's sample and head in a tensor of `rows` rows a sample.
template <class Elem>
__device__ __forceinline__ Elem* head_row(Elem* p, std::int64_t pitch, const AttentionBlock& at, int rows,
                                          int row, int dim) {
  return p + (static_cast<std::int64_t>(at.b) * rows + row) * pitch + at.h * dim;
}

// The survivors among keys key0 .. key0 + kCount - 1 of a query, one bit each.
template <int kCount, class Elem>
__device__ __forceinline__ std::uint32_t keep_bits(const AttentionInput<Elem>& in, const AttentionBlock& at,
                                                   int query, int key0) {
  const std::int64_t first = (static_cast<std::int64_t>(at.h) * in.queries + query) * in.keys + key0;
  const std::uint32_t sample = in.sample_offset + static_cast<std::uint32_t>(at.b);
  const auto group = static_cast<std::uint32_t>(first >> 2);
  const int skip = static_cast<int>(first & 3);  // of the first group: rows of keys need not begin with one
  const int groups = kCount / 4 + (skip != 0 ? 1 : 0);
  std::uint32_t bits = 0;
#pragma unroll 1
  for (int i = 0; i < groups; ++i) {
    const Philox4 draw = in.key.draw(sample, group + static_cast<std::uint32_t>(i));
    std::uint32_t four = 0;
#pragma unroll
    for (int lane = 0; lane < 4; ++lane) four |= (draw.v[lane] >= in.dropped_below ? 1u : 0u) << lane;
    bits |= four << 4 * i;
  }
  return bits >> skip & ((1u << kCount) - 1u);
}

// The channels behind the last head, up to the pitch of a pitched tensor: somebody has to write their zeros.
template <class Elem>
__device__ __forceinline__ int padding_of(const AttentionInput<Elem>& in, const AttentionBlock& at,
                                          std::int64_t pitch) {
  if (at.h + 1 < in.heads) return 0;
  const auto channels = static_cast<std::int64_t>(in.heads) * in.dim;
  return static_cast<int>(min(pitch, ceil_div(channels, kChannelAlign) * kChannelAlign) - channels);
}

// ---- bf16: a warp's 16 rows on tensor cores
// -----------------------------------------------------------------

// Where a lane's addresses in a tile start. along: rows are those of a first operand, or what is summed over
// in a second one; across: rows are the columns of a second operand.
template <int kDim>
__device__ __forceinline__ std::uint32_t lane_along(const BF16* tile, int lane) {
  return shared_address(tile + (lane & 15) * kTilePitch<kDim, BF16> + (lane >> 4) * 8);
}
template <int kDim>
__device__ __forceinline__ std::uint32_t lane_across(const BF16* tile, int lane) {
  return shared_address(tile + ((lane >> 4) * 8 + (lane & 7)) * kTilePitch<kDim, BF16> + (lane >> 3 & 1) * 8);
}
template <int kDim>
__device__ __forceinline__ std::uint32_t tile_offset(int row, int channel) {
  return static_cast<std::uint32_t>((row * kTilePitch<kDim, BF16> + channel) * 2);
}

// 16 x 16 numbers as the first operand. address: lane_along plus a tile_offset.
__device__ __forceinline__ void load_a(std::uint32_t (&a)[4], std::uint32_t address) {
  load_matrix_x4<false>(a[0], a[1], a[2], a[3], address);
}
// The second operand of two products, with 16 of the tile's rows as columns: sums over 16 channels.
// lane_across.
__device__ __forceinline__ void load_b(std::uint32_t (&b)[2][2], std::uint32_t address) {
  load_matrix_x4<false>(b[0][0], b[0][1], b[1][0], b[1][1], address);
}
// The same with 16 channels as columns: sums over 16 rows. lane_along.
__device__ __forceinline__ void load_b_trans(std::uint32_t (&b)[2][2], std::uint32_t address) {
  load_matrix_x4<true>(b[0][0], b[0][1], b[1][0], b[1][1], address);
}

__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
}
// Two results side by side (16 x 16) as the first operand of the next product.
__device__ __forceinline__ void as_a(std::uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
  a[0] = pack_bf16(left[0], left[1]);
  a[1] = pack_bf16(left[2], left[3]);
  a[2] = pack_bf16(right[0], right[1]);
  a[3] = pack_bf16(right[2], right[3]);
}

// Dropout of a 16 x 16 piece: bit j of the result is key key0 + j of query query0 + lane / 2. All lanes call.
__device__ __forceinline__ std::uint32_t keep_chunk(const AttentionInput<BF16>& in, const AttentionBlock& at,
                                                    int query0, int key0, int lane) {
  const std::uint32_t own = keep_bits<8>(in, at, query0 + lane / 2, key0 + lane % 2 * 8);
  const std::uint32_t other = __shfl_xor_sync(0xffffffffu, own, 1);
  return lane % 2 == 0 ? own | other << 8 : other | own << 8;
}

// Writes a warp's 16 rows, times factors of rows g and g + 8, by way of its own 16 rows of a tile, which
// nobody else uses any more: whole 16-byte stores instead of pairs of numbers.
template <int kDim>
__device__ __forceinline__ void store_warp_rows(const float (&acc)[kDim / 8][4], const float (&factor)[2],
                                                BF16* tile, BF16* out, std::int64_t pitch, int valid, int dim,
                                                bool vector, int padding, int lane) {
  constexpr int kPitch = kTilePitch<kDim, BF16>, kChunks = kDim / 8;
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      *reinterpret_cast<std::uint32_t*>(tile + (lane / 4 + half * 8) * kPitch + n * 8 + lane % 4 * 2) =
          pack_bf16(acc[n][half * 2] * factor[half], acc[n][half * 2 + 1] * factor[half]);
    }
  }
  __syncwarp();
  if (vector) {
    for (int i = lane; i < 16 * kChunks; i += 32) {
      const int row = i / kChunks, channel = i % kChunks * 8;
      if (row >= valid || channel >= dim) continue;
      *reinterpret_cast<uint4*>(out + row * pitch + channel) =
          *reinterpret_cast<const uint4*>(tile + row * kPitch + channel);
    }
  } else {
    for (int i = lane; i < 16 * kDim; i += 32) {
      const int row = i / kDim, channel = i % kDim;
      if (row < valid && channel < dim) out[row * pitch + channel] = tile[row * kPitch + channel];
    }
  }
  for (int i = lane; i < 16 * padding; i += 32) {
    if (i / padding < valid) out[i / padding * pitch + dim + i % padding] = from_f32<BF16>(0.0f);
  }
}

}  // namespace mg::cuda
