// What the attention kernels share: their inputs, tiles of a head's rows in shared memory, dropout's bits,
// and the register tiles of the two ways to multiply: bf16 on tensor cores, fp32 by multiply-adds.
//
// A block has up to four warps of 16 rows each (queries, or keys in the gradients of keys and values) of one
// head, and walks over the other side in blocks; few rows make a block of fewer warps. Tiles are [rows][kDim]
// with zeros from channel dim on, rows padded by 16 bytes so that eight of them begin in different banks.
#pragma once

#include <algorithm>

#include "kernels/attention.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"

namespace mg::cuda {

inline constexpr int kAttentionRows = 64;  // of a block

template <class Elem>
struct AttentionInput {
  const Elem *q, *k, *v;
  std::int64_t q_pitch, k_pitch, v_pitch;
  int heads, queries, keys, dim;
  float scale;
  const std::int32_t* key_lengths;
  float dropout;
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

template <int kDim, class Elem>
inline constexpr int kTilePitch = kDim + 16 / static_cast<int>(sizeof(Elem));

// Starts the copy of rows [0, count) into a tile: zeros from row `valid` and from channel `dim` on. By all
// threads; who waits for the copies and passes a barrier sees them.
template <int kDim, class Elem>
__device__ __forceinline__ void load_rows(Elem* tile, int count, const Elem* rows, std::int64_t pitch,
                                          int valid, int dim, bool vector) {
  constexpr int kEach = 16 / sizeof(Elem), kChunks = kDim / kEach;
  if (vector) {
    for (int i = static_cast<int>(threadIdx.x); i < count * kChunks; i += static_cast<int>(blockDim.x)) {
      const int row = i / kChunks, channel = i % kChunks * kEach;
      copy_async_once(shared_address(tile + row * kTilePitch<kDim, Elem> + channel),
                      rows + row * pitch + channel, row < valid && channel < dim);
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < count * kDim; i += static_cast<int>(blockDim.x)) {
      const int row = i / kDim, channel = i % kDim;
      tile[row * kTilePitch<kDim, Elem> + channel] =
          row < valid && channel < dim ? rows[row * pitch + channel] : from_f32<Elem>(0.0f);
    }
  }
}

// Bit i: element first + i of the sample survives dropout, i < kCount.
template <int kCount>
__device__ __forceinline__ std::uint32_t keep_bits(const RandomKey& key, std::uint32_t sample,
                                                   std::int64_t first, float p) {
  const auto group = static_cast<std::uint32_t>(first >> 2);
  const int skip = static_cast<int>(first & 3);
  const int groups = kCount / 4 + (skip != 0 ? 1 : 0);
  std::uint32_t bits = 0;
#pragma unroll 1
  for (int i = 0; i < groups; ++i) {
    const Philox4 draw = key.draw(sample, group + static_cast<std::uint32_t>(i));
#pragma unroll
    for (int lane = 0; lane < 4; ++lane) {
      bits |= (uniform01(draw.v[lane]) >= p ? 1u : 0u) << (4 * i + lane);
    }
  }
  return bits >> skip & ((1u << kCount) - 1u);
}

// The survivors among keys key0 .. key0 + kCount - 1 of a query.
template <int kCount, class Elem>
__device__ __forceinline__ std::uint32_t keep_bits(const AttentionInput<Elem>& in, const AttentionBlock& at,
                                                   int query, int key0) {
  const std::int64_t first = (static_cast<std::int64_t>(at.h) * in.queries + query) * in.keys + key0;
  return keep_bits<kCount>(in.key, in.sample_offset + static_cast<std::uint32_t>(at.b), first, in.dropout);
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
  __syncwarp();
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

// ---- fp32: a warp's 16 rows by multiply-adds
// ------------------------------------------------------------------ Lane l has rows 2 i + l / 16, i < 8: a
// warp reads two rows at a time, each by one address for 16 lanes. Of the other side it has rows l % 16 + 16
// j.

inline constexpr int kLaneRows = 8;
// Weights on their way from registers to the second product, [16 rows of a warp][kOther]: two rows in
// different banks.
template <int kOther>
inline constexpr int kWeightPitch = kOther + 16;

__device__ __forceinline__ int lane_row(int i, int lane) { return 2 * i + lane / 16; }

// s[i][j] += own row . other row, over `dim` channels; own: the warp's 16 rows. Rows from 16 * chunks on are
// left out.
template <int kDim, int kColumns>
__device__ __forceinline__ void dot_rows(float (&s)[kLaneRows][kColumns], const float* own,
                                         const float* other, int dim, int chunks, int lane) {
  constexpr int kPitch = kTilePitch<kDim, float>;
  const float* a = own + lane / 16 * kPitch;
  const float* b = other + lane % 16 * kPitch;
#pragma unroll 1
  for (int d = 0; d < dim; d += 4) {
    float4 x[kLaneRows];
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) x[i] = *reinterpret_cast<const float4*>(a + 2 * i * kPitch + d);
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      if (j >= chunks) continue;
      const float4 y = *reinterpret_cast<const float4*>(b + 16 * j * kPitch + d);
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
        s[i][j] = fmaf(x[i].x, y.x, s[i][j]);
        s[i][j] = fmaf(x[i].y, y.y, s[i][j]);
        s[i][j] = fmaf(x[i].z, y.z, s[i][j]);
        s[i][j] = fmaf(x[i].w, y.w, s[i][j]);
      }
    }
  }
}

// Channels of a lane: vectors of kVec at 16 kVec c + kVec (lane % 16).
template <int kDim>
inline constexpr int kVec = kDim / 16 < 4 ? kDim / 16 : 4;

template <int kDim>
__device__ __forceinline__ int lane_channel(int n, int lane) {
  return n / kVec<kDim> * 16 * kVec<kDim> + lane % 16 * kVec<kDim> + n % kVec<kDim>;
}

// acc[i][n] += the sum over rows k < count of weight[row i][k] * tile[k][channel n]; count a multiple of 4.
template <int kDim, int kOther>
__device__ __forceinline__ void accumulate_rows(float (&acc)[kLaneRows][kDim / 16], const float* weights,
                                                const float* tile, int count, int lane) {
  constexpr int kPitch = kTilePitch<kDim, float>, kWidth = kVec<kDim>;
  const float* a = weights + lane / 16 * kWeightPitch<kOther>;
#pragma unroll 1
  for (int k = 0; k < count; k += 4) {
    float w[kLaneRows][4];
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const float4 four = *reinterpret_cast<const float4*>(a + 2 * i * kWeightPitch<kOther> + k);
      w[i][0] = four.x, w[i][1] = four.y, w[i][2] = four.z, w[i][3] = four.w;
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int c = 0; c < kDim / 16; c += kWidth) {
        const float* p = tile + (k + r) * kPitch + c * 16 + lane % 16 * kWidth;
        float x[kWidth];
        if constexpr (kWidth == 4) {
          *reinterpret_cast<float4*>(x) = *reinterpret_cast<const float4*>(p);
        } else if constexpr (kWidth == 2) {
          *reinterpret_cast<float2*>(x) = *reinterpret_cast<const float2*>(p);
        } else {
          x[0] = *p;
        }
#pragma unroll
        for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
          for (int e = 0; e < kWidth; ++e) acc[i][c + e] = fmaf(w[i][r], x[e], acc[i][c + e]);
        }
      }
    }
  }
}

// Writes a warp's 16 rows, times a factor a row.
template <int kDim>
__device__ __forceinline__ void store_lane_rows(const float (&acc)[kLaneRows][kDim / 16],
                                                const float (&factor)[kLaneRows], float* out,
                                                std::int64_t pitch, int valid, int dim, bool vector,
                                                int padding, int lane) {
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
    const int row = lane_row(i, lane);
    if (row >= valid) continue;
#pragma unroll
    for (int c = 0; c < kDim / 16; c += kVec<kDim>) {
      const int channel = lane_channel<kDim>(c, lane);
      float* p = out + row * pitch + channel;
      if constexpr (kVec<kDim> == 4) {
        if (vector) {
          if (channel < dim) {
            *reinterpret_cast<float4*>(p) = make_float4(acc[i][c] * factor[i], acc[i][c + 1] * factor[i],
                                                        acc[i][c + 2] * factor[i], acc[i][c + 3] * factor[i]);
          }
          continue;
        }
      }
#pragma unroll
      for (int e = 0; e < kVec<kDim>; ++e) {
        if (channel + e < dim) p[e] = acc[i][c + e] * factor[i];
      }
    }
  }
  for (int i = lane; i < 16 * padding; i += 32) {
    if (i / padding < valid) out[i / padding * pitch + dim + i % padding] = 0.0f;
  }
}

}  // namespace mg::cuda
