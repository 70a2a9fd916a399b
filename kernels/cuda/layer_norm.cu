// Layer normalisation and L2 normalisation of rows, forward and backward, each in one pass: a row stays in
// registers (kernels/cuda/held_rows.cuh). dweight and dbias are summed over a block's rows on the way, and
// the blocks' sums in double.
#include "kernels/layer_norm.h"

#include "kernels/cuda/column_sums.cuh"
#include "kernels/cuda/held_rows.cuh"

namespace mg {

namespace {

using namespace cuda;

// y, x: [rows, channels]. weight, bias: [channels]. mean, inverse_std: [rows].
template <int kWidth, class Elem>
__global__ void __launch_bounds__(kHeldThreads, 1)  // left to itself, sm_80 takes 128 registers and spills
    layer_norm_forward_kernel(HeldTile tile, int channels, Rows<Elem> y, Rows<const Elem> x,
                              const float* weight, const float* bias, float eps, float* mean,
                              float* inverse_std) {
  constexpr int kChunks = kHeld / kWidth;
  float weights[kChunks][kWidth], biases[kChunks][kWidth];
  __shared__ HeldChannels<kWidth> shared[2];
  load_held_channels<kWidth>(weights, shared[0], tile, weight, channels);
  load_held_channels<kWidth>(biases, shared[1], tile, bias, channels);
  const float n = static_cast<float>(channels);
  for (std::int64_t r = tile.first(); r < tile.end(); r += tile.groups()) {
    float values[kChunks][kWidth];
    load_held<kWidth>(values, tile, x, r, channels);
    float sum = 0, squares = 0;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) sum += values[i / kWidth][i % kWidth];
    const float row_mean = row_sum(tile, sum) / n;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      // What lies past the last channel holds 0 and would count as mean^2.
      const bool real = tile.column<kWidth>(i / kWidth) + i % kWidth < channels;
      const float d = real ? values[i / kWidth][i % kWidth] - row_mean : 0.0f;
      values[i / kWidth][i % kWidth] = d;
      squares += d * d;
    }
    const float inverse = 1.0f / sqrtf(row_sum(tile, squares) / n + eps);
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      float& value = values[i / kWidth][i % kWidth];
      value = value * inverse * weights[i / kWidth][i % kWidth] + biases[i / kWidth][i % kWidth];
    }
    store_held<kWidth>(values, tile, y, r, channels);
    if (tile.column<1>(0) == 0) {
      mean[r] = row_mean;
      inverse_std[r] = inverse;
    }
  }
}

// Half of the groups leave their sums at a time for the other half; then those of group 0 are written out.
template <int kWidth>
union BackwardShared {
  HeldChannels<kWidth> weights;
  float halves[kRowGroups / 2][2 * kHeld][32];
  HeldChannels<kWidth> totals[2];
};

// Adds the sums of the block's rows, over its groups, to line blockIdx.x of partial: [blocks, 2, channels].
template <int kWidth>
__device__ __forceinline__ void store_sums(BackwardShared<kWidth>& shared, const HeldTile& tile, int channels,
                                           float (&sums)[2 * kHeld], float* partial) {
  float* out = partial + blockIdx.x * static_cast<std::int64_t>(2 * channels);
  if (tile.warps > 1) {
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const int c = tile.column<kWidth>(i / kWidth) + i % kWidth;
      if (c < channels) {
        out[c] = sums[i];
        out[channels + c] = sums[kHeld + i];
      }
    }
    return;
  }
  const int lane = static_cast<int>(threadIdx.x) % 32, group = tile.group();
  for (int half = kRowGroups / 2; half > 0; half /= 2) {
    __syncthreads();
    if (group >= half && group < 2 * half) {
#pragma unroll
      for (int i = 0; i < 2 * kHeld; ++i) shared.halves[group - half][i][lane] = sums[i];
    }
    __syncthreads();
    if (group >= half) continue;
#pragma unroll
    for (int i = 0; i < 2 * kHeld; ++i) sums[i] += shared.halves[group][i][lane];
  }
  __syncthreads();
  if (group == 0) {
#pragma unroll
    for (int i = 0; i < 2 * kHeld; ++i) {
      const int chunk = tile.column<kWidth>(i % kHeld / kWidth) / kWidth;
      shared.totals[i / kHeld].numbers[i % kWidth][chunk] = sums[i];
    }
  }
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < channels; c += static_cast<int>(blockDim.x)) {
    out[c] = shared.totals[0].numbers[c % kWidth][c / kWidth];
    out[channels + c] = shared.totals[1].numbers[c % kWidth][c / kWidth];
  }
}

// dx, dy, x: [rows, channels]. weight: [channels]. mean, inverse_std: [rows]. partial: [blocks, 2, channels]:
// sums of dy and of dy * normalised x over the block's rows.
template <int kWidth, class Elem>
__global__ void __launch_bounds__(kHeldThreads)
    layer_norm_backward_kernel(HeldTile tile, int channels, Rows<Elem> dx, Rows<const Elem> dy,
                               Rows<const Elem> x, const float* weight, const float* mean,
                               const float* inverse_std, float* partial) {
  constexpr int kChunks = kHeld / kWidth;
  float weights[kChunks][kWidth], sums[2 * kHeld] = {};
  __shared__ BackwardShared<kWidth> shared;
  load_held_channels<kWidth>(weights, shared.weights, tile, weight, channels);
  const float n = static_cast<float>(channels);
  for (std::int64_t r = tile.first(); r < tile.end(); r += tile.groups()) {
    float g[kChunks][kWidth], normalised[kChunks][kWidth];
    load_held<kWidth>(g, tile, dy, r, channels);
    load_held<kWidth>(normalised, tile, x, r, channels);
    const float row_mean = mean[r], inverse = inverse_std[r];
    float sum = 0, dot = 0;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      float &gi = g[i / kWidth][i % kWidth], &xi = normalised[i / kWidth][i % kWidth];
      xi = (xi - row_mean) * inverse;
      sums[i] += gi;
      sums[kHeld + i] += gi * xi;
      gi *= weights[i / kWidth][i % kWidth];  // 0 past the last channel
      sum += gi;
      dot += gi * xi;
    }
    sum = row_sum(tile, sum);
    dot = row_sum(tile, dot);
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      float& gi = g[i / kWidth][i % kWidth];
      gi = inverse * (gi - (sum + normalised[i / kWidth][i % kWidth] * dot) / n);
    }
    store_held<kWidth>(g, tile, dx, r, channels);
  }
  store_sums<kWidth>(shared, tile, channels, sums, partial);
}

struct StoreWeightGradients {
  float *dweight, *dbias;
  int channels;
  __device__ void operator()(int i, double total) const {
    (i < channels ? dbias[i] : dweight[i - channels]) = static_cast<float>(total);
  }
};

// y, x: [rows, channels], of any two element types.
template <int kWidth, class To, class From>
__global__ void __launch_bounds__(kHeldThreads)
    l2_normalize_forward_kernel(HeldTile tile, int channels, Rows<To> y, Rows<const From> x, float eps) {
  for (std::int64_t r = tile.first(); r < tile.end(); r += tile.groups()) {
    float values[kHeld / kWidth][kWidth];
    load_held<kWidth>(values, tile, x, r, channels);
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kHeld; ++i)
      squares += values[i / kWidth][i % kWidth] * values[i / kWidth][i % kWidth];
    const float norm = sqrtf(row_sum(tile, squares));
    const float inverse = 1.0f / (norm < eps ? eps : norm);  // NaN stays
#pragma unroll
    for (int i = 0; i < kHeld; ++i) values[i / kWidth][i % kWidth] *= inverse;
    store_held<kWidth>(values, tile, y, r, channels);
  }
}

// dx, x: [rows, channels] of one element type; dy of any.
template <int kWidth, class Grad, class Elem>
__global__ void __launch_bounds__(kHeldThreads)
    l2_normalize_backward_kernel(HeldTile tile, int channels, Rows<Elem> dx, Rows<const Grad> dy,
                                 Rows<const Elem> x, float eps) {
  for (std::int64_t r = tile.first(); r < tile.end(); r += tile.groups()) {
    float values[kHeld / kWidth][kWidth], g[kHeld / kWidth][kWidth];
    load_held<kWidth>(values, tile, x, r, channels);
    load_held<kWidth>(g, tile, dy, r, channels);
    float squares = 0, dot = 0;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      squares += values[i / kWidth][i % kWidth] * values[i / kWidth][i % kWidth];
      dot += values[i / kWidth][i % kWidth] * g[i / kWidth][i % kWidth];
    }
    const float norm = sqrtf(row_sum(tile, squares));
    dot = row_sum(tile, dot);
    const float inverse = 1.0f / (norm < eps ? eps : norm);
    const float along = norm < eps ? 0.0f : dot * inverse * inverse;  // below eps the denominator is constant
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      g[i / kWidth][i % kWidth] =
          (g[i / kWidth][i % kWidth] - values[i / kWidth][i % kWidth] * along) * inverse;
    }
    store_held<kWidth>(g, tile, dx, r, channels);
  }
}

// f(A{}, B{}, width) for two element types and the width of an access that suits both.
template <class F, class... Views>
void with_two_elems(DType a, DType b, F&& f, const Views&... views) {
  with_elem(a, [&](auto first) {
    with_elem(b, [&](auto second) {
      using A = decltype(first);
      using B = decltype(second);
      with_width<std::conditional_t<sizeof(A) >= sizeof(B), A, B>>(
          [&](auto width) { f(first, second, width); }, views...);
    });
  });
}

}  // namespace

void layer_norm_forward(const LayerNormForward& args, CudaStream& stream) {
  const HeldLaunch l = held_launch("layer_norm_forward", args.x.rows(), args.y.pitch, 4);
  with_elem(args.x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          launch(stream, "layer_norm_forward_kernel", layer_norm_forward_kernel<width(), Elem>, l.grid,
                 l.block, 0, l.tile, args.x.channels(), rows_of<Elem>(args.y), rows_of<Elem>(args.x),
                 args.weight, args.bias, args.eps, args.mean, args.inverse_std);
        },
        args.y, args.x);
  });
}

void layer_norm_backward(const LayerNormBackward& args, CudaStream& stream) {
  const std::int64_t channels = args.x.channels();
  const HeldLaunch l = held_launch("layer_norm_backward", args.x.rows(), args.dx.pitch, 5);
  auto* partial = static_cast<float*>(
      stream.workspace(0, l.grid.x * static_cast<std::size_t>(2 * channels) * sizeof(float)));
  with_elem(args.x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          launch(stream, "layer_norm_backward_kernel", layer_norm_backward_kernel<width(), Elem>, l.grid,
                 l.block, 0, l.tile, channels, rows_of<Elem>(args.dx), rows_of<Elem>(args.dy),
                 rows_of<Elem>(args.x), args.weight, args.mean, args.inverse_std, partial);
        },
        args.dx, args.dy, args.x);
  });
  column_totals(stream, "layer_norm_column_totals_kernel", partial, l.grid.x, 2 * channels,
                StoreWeightGradients{args.dweight, args.dbias, static_cast<int>(channels)});
}

void l2_normalize_forward(const L2NormalizeForward& args, CudaStream& stream) {
  const HeldLaunch l = held_launch("l2_normalize_forward", args.x.rows(), args.y.pitch, 1);
  with_two_elems(
      args.y.dtype, args.x.dtype,
      [&](auto to, auto from, auto width) {
        using To = decltype(to);
        using From = decltype(from);
        launch(stream, "l2_normalize_forward_kernel", l2_normalize_forward_kernel<width(), To, From>, l.grid,
               l.block, 0, l.tile, args.x.channels(), rows_of<To>(args.y), rows_of<From>(args.x), args.eps);
      },
      args.y, args.x);
}

void l2_normalize_backward(const L2NormalizeBackward& args, CudaStream& stream) {
  const HeldLaunch l = held_launch("l2_normalize_backward", args.x.rows(), args.dx.pitch, 1);
  with_two_elems(
      args.dy.dtype, args.x.dtype,
      [&](auto grad, auto elem, auto width) {
        using Grad = decltype(grad);
        using Elem = decltype(elem);
        launch(stream, "l2_normalize_backward_kernel", l2_normalize_backward_kernel<width(), Grad, Elem>,
               l.grid, l.block, 0, l.tile, args.x.channels(), rows_of<Elem>(args.dx), rows_of<Grad>(args.dy),
               rows_of<Elem>(args.x), args.eps);
      },
      args.dx, args.dy, args.x);
}

}  // namespace mg
