// Tiles of rows in shared memory, [rows][kDim] with zeros behind the last channel, and fp32 products of them
// by multiply-adds: a warp owns 16 rows, a lane 8 of them against a share of the other side's rows or
// channels.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"

namespace mg::cuda {

template <int kDim, class Elem>
inline constexpr int kTilePitch = kDim + 16 / static_cast<int>(sizeof(Elem));

// Starts the copy of rows [0, count) into a tile: zeros from row `valid` and from channel `dim` on. By all
// threads; who waits for the copies and passes a barrier sees them.
template <int kDim, class Elem>
__device__ __forceinline__ void load_rows(Elem* tile, int count, const Elem* rows, std::int64_t pitch,
                                          int valid, int dim, bool vector) {
  constexpr int kEach = 16 / sizeof(Elem), kChunks = kDim / kEach;
  if (vector) {
    static_assert(32 % kChunks == 0);  // a thread keeps its channels from row to row
    const int channel = static_cast<int>(threadIdx.x % kChunks) * kEach;
    const int first = static_cast<int>(threadIdx.x / kChunks), step = static_cast<int>(blockDim.x / kChunks);
    const Elem* from = rows + first * pitch + channel;
    std::uint32_t to = shared_address(tile + first * kTilePitch<kDim, Elem> + channel);
    for (int row = first; row < count; row += step) {
      copy_async_once(to, from, row < valid && channel < dim);
      from += step * pitch;
      to += static_cast<std::uint32_t>(step * kTilePitch<kDim, Elem> * static_cast<int>(sizeof(Elem)));
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < count * kDim; i += static_cast<int>(blockDim.x)) {
      const int row = i / kDim, channel = i % kDim;
      tile[row * kTilePitch<kDim, Elem> + channel] =
          row < valid && channel < dim ? rows[row * pitch + channel] : from_f32<Elem>(0.0f);
    }
  }
}

// A lane's rows of its warp's 16: 2 i + lane / 16, i < 8, so that a warp reads two rows at a time, each by
// one address for 16 lanes. Of the other side it has rows lane % 16 + 16 j.
inline constexpr int kLaneRows = 8;
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

// acc[i][n] += the sum over rows k < count of weight[row i][k] * tile[k][channel n]; weights: the warp's 16
// rows, at a pitch; count a multiple of 4.
template <int kDim, int kWeightPitch>
__device__ __forceinline__ void accumulate_rows(float (&acc)[kLaneRows][kDim / 16], const float* weights,
                                                const float* tile, int count, int lane) {
  constexpr int kPitch = kTilePitch<kDim, float>, kWidth = kVec<kDim>;
  const float* a = weights + lane / 16 * kWeightPitch;
#pragma unroll 1
  for (int k = 0; k < count; k += 4) {
    float w[kLaneRows][4];
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const float4 four = *reinterpret_cast<const float4*>(a + 2 * i * kWeightPitch + k);
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
      } else if constexpr (kVec<kDim> == 2) {
        if (vector) {
          if (channel < dim) {
            *reinterpret_cast<float2*>(p) = make_float2(acc[i][c] * factor[i], acc[i][c + 1] * factor[i]);
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
