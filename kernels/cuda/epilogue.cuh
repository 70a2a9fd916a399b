// The end of a matrix product: y = relu?(dropout(activation(result + bias)) + residual), the numbers before
// the activation, and moments of y as stored for the BatchNorm that follows. Works on the finished tile in
// shared memory, a quad of channels a thread and one row after another.
#pragma once

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
  float keep = 1;  // 1 / (1 - p)
  FastDivide by_sample;
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
    out.by_sample = FastDivide(static_cast<std::uint32_t>(
        std::min<std::int64_t>(epilogue.dropout.rows_per_sample, std::max<std::int64_t>(1, y.rows()))));
  }
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

__device__ __forceinline__ float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0 ? 0.0f : x;  // a NaN stays one
    case Activation::gelu:
      return x * 0.5f * (1.0f + erff(x * 0.70710678118654752f));
    case Activation::quick_gelu:
      return x / (1.0f + expf(-1.702f * x));
  }
  return x;
}

// Elements first .. first + 3 of a sample are kept or not: a draw gives four, which are those of one or of
// two draws.
__device__ __forceinline__ void drop_quad(float (&v)[4], const DropoutMask& mask, float keep,
                                          std::uint32_t sample, std::int64_t first) {
  const auto group = static_cast<std::uint32_t>(first / 4);
  const int skip = static_cast<int>(first % 4);
  std::uint32_t bits[8];
  const Philox4 low = mask.key.draw(sample, group);
#pragma unroll
  for (int j = 0; j < 4; ++j) bits[j] = low.v[j], bits[4 + j] = 0;
  if (skip != 0) {
    const Philox4 high = mask.key.draw(sample, group + 1);
#pragma unroll
    for (int j = 0; j < 4; ++j) bits[4 + j] = high.v[j];
  }
  // Selections instead of an index: an indexed array would lie in local memory.
#pragma unroll
  for (int j = 0; j < 7; ++j) bits[j] = (skip & 1) != 0 ? bits[j + 1] : bits[j];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const std::uint32_t word = (skip & 2) != 0 ? bits[j + 2] : bits[j];
    v[j] *= uniform01(word) >= mask.p ? keep : 0.0f;
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
    const int sample = out.by_sample(to);
    const auto row = static_cast<std::int64_t>(to - sample * static_cast<int>(out.by_sample.divisor));
    drop_quad(v, out.dropout, out.keep, out.dropout.sample_offset + static_cast<std::uint32_t>(sample),
              row * out.channels + n);
  }
  if (out.residual != nullptr && count > 0) {
    float add[4];
    load_quad(add, out.residual + static_cast<std::int64_t>(to) * out.residual_pitch + n, out.vectors, count);
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] += add[j];
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) v[j] = j < count && !(out.relu && v[j] < 0) ? v[j] : 0.0f;
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
    for (int r = strand; r < valid_rows; r += kStrands) {
      const int to = rows.destination[r];
      const float4 raw = *reinterpret_cast<const float4*>(stage + r * kStagePitch<kTileN> + quad * 4);
      float v[4] = {raw.x, raw.y, raw.z, raw.w};
      finish_quad(out, v, bias, to, n, count);
      store_quad(out.y + static_cast<std::int64_t>(to) * out.pitch + n, v, out.vectors,
                 min(4, out.columns - n));
      if (out.moments != nullptr) moments.add(v);
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
