// The three matrix products of a convolution or linear layer, on operands that are ready: rows that can be
// copied in chunks (readable_rows) and packed weights. The tile's width goes by shape; an output's sum has
// the same order for each.
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/gather.cuh"
#include "kernels/cuda/pack.cuh"

namespace mg::cuda {

// y = rows of x gathered, times w; moments: for statistics, or null. narrow: pixels of four bf16 channels.
struct ForwardMatmul {
  Gather gather;
  ConstView x;
  const void* w;
  int w_pitch;
  bool narrow = false;
};
void forward_matmul(CudaStream& stream, const ForwardMatmul& job, const View& y,
                    const Epilogue& epilogue = {}, const View& pre = {}, float* moments = nullptr);

// dx = rows of dy gathered, times w transposed; each gather is a launch.
struct BackwardDataMatmul {
  std::vector<Gather> gathers;
  ConstView dy;
  const void* w;
  PackedShape shape;
};
void backward_data_matmul(CudaStream& stream, const BackwardDataMatmul& job, const View& dx);

// dw = rows of x gathered, transposed, times dy.
struct BackwardWeightMatmul {
  Gather gather;
  ConstView x, dy;
  PackedShape shape;
  bool narrow = false;
};
void backward_weight_matmul(CudaStream& stream, const BackwardWeightMatmul& job, const View& dw);

// Channels of the reduction: whole chunks; or four where few bf16 channels meet many taps (the stem's RGB: a
// fifth of the products are with zeros' pixels, against two thirds).
inline bool is_narrow(DType type, std::int64_t channels, std::int64_t taps) {
  return type == DType::bf16 && channels <= 4 && taps > 1;
}
inline int chunk_of(DType type) { return 16 / static_cast<int>(size_of(type)); }

// f(Math{}) with the arithmetic for tensors of this type.
template <class F>
void with_math(const CudaStream& stream, DType type, F&& f) {
  if (type == DType::bf16) return f(MathBF16{});
  if (stream.tf32()) return f(MathTF32{});
  return f(MathF32{});
}

// Width of the tile for a product of this many columns: little waste at the end, rather a wide one (operands
// are read less often), but narrow ones while there are too few tiles for the multiprocessors, 264 at two on
// each of an H100's.
template <class Math>
int pick_tile_n(int columns, std::int64_t row_tiles) {
  static constexpr int kWidths[] = {144, 128, 96, 64, 48};
  int best = 0;
  double least = 0;
  for (const int n : kWidths) {
    if (std::is_same_v<Math, MathF32> && (n == 144 || n == 96)) continue;
    if (n == 48 && ceil_div(columns, 48) * 48 >= ceil_div(columns, 64) * 64) continue;  // for 45 channels
    const auto tiles = static_cast<double>(row_tiles * ceil_div(columns, n));
    const double cost = std::max(1.0, tiles / 264) * (n + 16);
    if (best == 0 || cost < least) {
      least = cost;
      best = n;
    }
  }
  return best;
}
template <class Math, class F>
void with_tile_n(int n, F&& f) {
  if (n == 48) return f(std::integral_constant<int, 48>());
  if (n == 64) return f(std::integral_constant<int, 64>());
  if constexpr (!std::is_same_v<Math, MathF32>) {
    if (n == 96) return f(std::integral_constant<int, 96>());
    if (n == 144) return f(std::integral_constant<int, 144>());
  }
  return f(std::integral_constant<int, 128>());
}

template <int kTileN>
inline constexpr int kStageBytes = kTileM* kStagePitch<kTileN> * 4;

}  // namespace mg::cuda
