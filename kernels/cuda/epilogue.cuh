// The end of a matrix product: y = relu?(dropout(activation(result + bias)) + residual), the numbers before
// the activation, and moments of y as stored for the BatchNorm that follows. Works on the finished tile in
// shared memory, a quad of channels a thread and one row after another.
#pragma once

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/dropout_mask.cuh"
#include "kernels/cuda/gather.cuh"
#include "kernels/epilogue.h"

namespace mg::cuda {

// Of a tile's rows: the mean as the sum of two numbers, and the squares of the deviations from it.
inline constexpr int kMoments = 3;

template <class Elem>
struct TileOutput {
  Elem* y = nullptr;
  int pitch = 0;
  int channels = 0, columns = 0;  // columns: channels and the padding that is written as zeros
  bool vectors = false;           // whether each tensor's quads are aligned
  const float* bias = nullptr;    // [channels]
  Elem* pre = nullptr;            // before the activation
  int pre_pitch = 0;
  const Elem* residual = nullptr;
  int residual_pitch = 0;
  Activation activation = Activation::none;
  bool relu = false;
  DropoutMask dropout = {};
  float keep = 1;            // 1 / (1 - p)
  bool plain = false;        // the results as they are, in aligned quads
  float* moments = nullptr;  // [row tiles][kMoments][channels]
};

template <class View_>
bool has_aligned_quads(const View_& view) {
  const auto bytes = 4 * size_of(view.dtype);
  return view.pitch % 4 == 0 &&
         reinterpret_cast<std::uintptr_t>(view.data) % static_cast<std::uintptr_t>(bytes) == 0;
}

template <class Elem>
TileOutput<Elem> tile_output(const View& y, const Epilogue& epilogue = {}, const View& pre = {}) {
  TileOutput<Elem> out;
  out.y = data<Elem>(y);
  out.pitch = static_cast<int>(y.pitch);
  out.channels = static_cast<int>(y.channels());
  out.columns = static_cast<int>(std::min(y.pitch, round_up(y.channels(), kChannelAlign)));
  out.bias = epilogue.bias;
  out.activation = epilogue.activation;
  out.relu = epilogue.relu;
  out.vectors = has_aligned_quads(y);
  if (pre) {
    out.pre = data<Elem>(pre);
    out.pre_pitch = static_cast<int>(pre.pitch);
    out.vectors = out.vectors && has_aligned_quads(pre);
  }
  if (epilogue.residual) {
    out.residual = data<Elem>(epilogue.residual);
    out.residual_pitch = static_cast<int>(epilogue.residual.pitch);
    out.vectors = out.vectors && has_aligned_quads(epilogue.residual);
  }
  if (epilogue.dropout.p > 0) {
    out.dropout = epilogue.dropout;
    out.keep = 1.0f / (1.0f - epilogue.dropout.p);
  }
  out.plain = out.vectors && !pre && !epilogue.residual && epilogue.bias == nullptr &&
              epilogue.activation == Activation::none && !epilogue.relu && epilogue.dropout.p == 0;
  return out;
}

template <class Elem>
__device__ __forceinline__ void load_quad(float (&v)[4], const Elem* p, bool vectors, int count) {
  if (vectors) {
    alignas(4 * sizeof(Elem)) Elem raw[4];
    if constexpr (sizeof(Elem) == 4) {
      *reinterpret_cast<uint4*>(raw) = *reinterpret_cast<const uint4*>(p);
    } else {
      *reinterpret_cast<uint2*>(raw) = *reinterpret_cast<const uint2*>(p);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] = to_f32(raw[j]);
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] = j < count ? to_f32(p[j]) : 0.0f;
  }
}
// Rounds v to what is stored.
template <class Elem>
__device__ __forceinline__ void store_quad(Elem* p, float (&v)[4], bool vectors, int count) {
  alignas(4 * sizeof(Elem)) Elem raw[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    raw[j] = from_f32<Elem>(v[j]);
    v[j] = to_f32(raw[j]);
  }
  if (vectors) {
    if constexpr (sizeof(Elem) == 4) {
      *reinterpret_cast<uint4*>(p) = *reinterpret_cast<const uint4*>(raw);
    } else {
      *reinterpret_cast<uint2*>(p) = *reinterpret_cast<const uint2*>(raw);
    }
  } else {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (j < count) p[j] = raw[j];
    }
  }
}

// Moments of four columns over a thread's rows, about the first row's values: these are near the mean when
// that is large, and nothing cancels.
struct QuadMoments {
  float origin[4], sum[4], squares[4];
  int count;
  __device__ __forceinline__ void add(const float (&v)[4]) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (count == 0) origin[j] = v[j];
      const float d = v[j] - origin[j];
      sum[j] += d;
      squares[j] = fmaf(d, d, squares[j]);
    }
    ++count;
  }
};

// Combines the strands' moments, [kStrands][3][kTileN], strand s having rows s, s + kStrands, ... of the
// first `rows` (Chan, Golub and LeVeque 1979). In double: a mean in fp32 would be too rough where it is far
// from zero.
template <class Elem, int kTileN>
__device__ __forceinline__ void store_moments(const TileOutput<Elem>& out, const float* parts, int rows,
                                              int first_n, int tile) {
  constexpr int kStrands = kThreads / (kTileN / 4);
  for (int column = threadIdx.x; column < kTileN; column += kThreads) {
    if (first_n + column >= out.channels) continue;
    double mean = 0, squares = 0;
    for (int s = 0; s < kStrands; ++s) {
      const float* part = parts + s * 3 * kTileN + column;
      mean += static_cast<double>((rows - s + kStrands - 1) / kStrands) * part[0] + part[kTileN];
    }
    mean /= rows;
    for (int s = 0; s < kStrands; ++s) {
      const float* part = parts + s * 3 * kTileN + column;
      const double count = (rows - s + kStrands - 1) / kStrands, away = part[0] - mean;
      squares += part[2 * kTileN] + away * (2 * static_cast<double>(part[kTileN]) + away * count);
    }
    float* to = out.moments + static_cast<std::int64_t>(tile) * kMoments * out.channels + first_n + column;
    to[0] = static_cast<float>(mean);
    to[out.channels] = static_cast<float>(mean - static_cast<float>(mean));
    to[2 * out.channels] = static_cast<float>(squares);
  }
}

template <class Elem>
__device__ __forceinline__ void finish_quad(const TileOutput<Elem>& out, float (&v)[4],
                                            const float (&bias)[4], int to, int n, int count) {
#pragma unroll
  for (int j = 0; j < 4; ++j) v[j] = j < count ? v[j] + bias[j] : 0.0f;
  if (out.pre != nullptr) {
    float rounded[4] = {v[0], v[1], v[2], v[3]};
    store_quad(out.pre + static_cast<std::int64_t>(to) * out.pre_pitch + n, rounded, out.vectors,
               min(4, min(out.columns, out.pre_pitch) - n));
  }
  if (out.activation != Activation::none) {
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] = activate(out.activation, v[j]);
  }
  if (out.dropout.p > 0) {
    const unsigned keeps = dropout_keeps<4>(out.dropout, to, out.channels, n);
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] *= (keeps >> j & 1) != 0 ? out.keep : 0.0f;
  }
  if (out.residual != nullptr && count > 0) {
    float add[4];
    load_quad(add, out.residual + static_cast<std::int64_t>(to) * out.residual_pitch + n, out.vectors, count);
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] += add[j];
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) v[j] = j >= count ? 0.0f : out.relu ? relu(v[j]) : v[j];
}

// stage: the tile [kTileM][kStagePitch], complete; columns first_n .. of rows of the product, tile `tile` of
// them, the first valid_rows of which exist. All threads call; stage is overwritten.
template <int kTileN, class Elem>
__device__ __forceinline__ void store_tile(const TileOutput<Elem>& out, float* stage, const RowTable& rows,
                                           int first_n, int tile, int valid_rows) {
  constexpr int kQuads = kTileN / 4, kStrands = kThreads / kQuads;
  const int quad = threadIdx.x % kQuads, strand = threadIdx.x / kQuads, n = first_n + quad * 4;
  const int count = max(0, min(4, out.channels - n));
  QuadMoments moments{};
  if (strand < kStrands && n < out.columns) {
    float bias[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) bias[j] = out.bias != nullptr && j < count ? __ldg(out.bias + n + j) : 0.0f;
    auto sweep = [&](auto finish) {
#pragma unroll 2
      for (int r = strand; r < valid_rows; r += kStrands) {
        const int to = rows.destination[r];
        const float4 raw = *reinterpret_cast<const float4*>(stage + r * kStagePitch<kTileN> + quad * 4);
        float v[4] = {raw.x, raw.y, raw.z, raw.w};
        finish(v, to);
        if (out.moments != nullptr) moments.add(v);
      }
    };
    // Most products of a network end as they are: the general end takes as many instructions as a short sum.
    if (out.plain) {
      sweep([&](float(&v)[4], int to) {
        store_quad(out.y + static_cast<std::int64_t>(to) * out.pitch + n, v, true, 4);
      });
    } else {
      sweep([&](float(&v)[4], int to) {
        finish_quad(out, v, bias, to, n, count);
        store_quad(out.y + static_cast<std::int64_t>(to) * out.pitch + n, v, out.vectors,
                   min(4, out.columns - n));
      });
    }
  }
  if (out.moments == nullptr) return;  // the same for all threads
  __syncthreads();                     // the tile has been read
  if (strand < kStrands) {
    float* part = stage + strand * 3 * kTileN + quad * 4;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      part[j] = moments.origin[j];
      part[kTileN + j] = moments.sum[j];
      part[2 * kTileN + j] = moments.squares[j];
    }
  }
  __syncthreads();
  store_moments<Elem, kTileN>(out, stage, valid_rows, first_n, tile);
}

}  // namespace mg::cuda
