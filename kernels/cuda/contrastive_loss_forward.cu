// The contrastive loss, forward: log-sum-exps of the rows and columns of S = v t^T / temperature and of the
// labels, and the divergences, without storing S: each 64 x 64 tile leaves, for its rows and its columns, a
// maximum and sums relative to it, which a second kernel merges in a fixed order. With w = exp(label) and its
// sum W,
//   KL = sum w / W (label - S) + log-sum-exp(S) - log W.
// Prompted texts [B, K, D] are read once: their B x K products are small beside them and are stored.
#include "kernels/cuda/contrastive_loss.cuh"

namespace mg {

namespace cuda {
namespace {

// What a tile says of a row or column: [tiles][kParts][items]. Sums are relative to the maxima: of exp(S),
// exp(label) and exp(label) (label - S).
constexpr int kParts = 5;
enum Part { kLargest, kSum, kLabelLargest, kLabelSum, kDivergence };

// Similarities, times temperature, of prompted texts. A warp for each clip and text.
__global__ void __launch_bounds__(256)
    contrastive_prompted_forward_kernel(const __grid_constant__ ContrastiveInput in, float* products) {
  const std::int64_t pairs = static_cast<std::int64_t>(in.clips) * in.texts;
  const std::int64_t pair = static_cast<std::int64_t>(blockIdx.x) * 8 + threadIdx.x / 32;
  const std::int64_t mine =
      min(pair, pairs - 1);  // the last block's idle warps compute what they do not write
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const float product =
      prompted_product(in, static_cast<int>(mine / in.texts), static_cast<int>(mine % in.texts), lane);
  if (lane == 0 && pair < pairs) products[pair] = product;
}

// A lane's part of a tile, [8 clips][4 texts].
struct LanePairs {
  float s[kLaneRows][kLaneTexts] = {}, label[kLaneRows][kLaneTexts];  // minus infinity outside
  float count[kLaneTexts];                                            // of the texts, 0 outside
};

// The sums of a line of pairs (n of a lane) relative to its maxima, which leave NaN out; the sums do not.
struct LineSums {
  float sum = 0, label_sum = 0, divergence = 0;

  __device__ __forceinline__ void add(float s, float label, float weight, float largest,
                                      float label_largest) {
    if (weight > 0 && s != -INFINITY) sum = fmaf(weight, expf(s - largest), sum);
    if (weight > 0 && label > -INFINITY) {
      const float target = weight * expf(label - label_largest);
      label_sum += target;
      divergence = fmaf(target, label - s, divergence);
    }
  }
};

// rows: [kParts][64]
__device__ __forceinline__ void reduce_rows(const LanePairs& pairs, float* rows, int warp, int lane) {
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
    float largest = -INFINITY, label_largest = -INFINITY;
#pragma unroll
    for (int j = 0; j < kLaneTexts; ++j) {
      if (pairs.count[j] > 0) {
        largest = fmaxf(largest, pairs.s[i][j]);
        label_largest = fmaxf(label_largest, pairs.label[i][j]);
      }
    }
#pragma unroll
    for (int d = 8; d > 0; d /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, d));
      label_largest = fmaxf(label_largest, __shfl_xor_sync(0xffffffffu, label_largest, d));
    }
    LineSums sums;
#pragma unroll
    for (int j = 0; j < kLaneTexts; ++j) {
      sums.add(pairs.s[i][j], pairs.label[i][j], pairs.count[j], largest, label_largest);
    }
#pragma unroll
    for (int d = 8; d > 0; d /= 2) {
      sums.sum += __shfl_xor_sync(0xffffffffu, sums.sum, d);
      sums.label_sum += __shfl_xor_sync(0xffffffffu, sums.label_sum, d);
      sums.divergence += __shfl_xor_sync(0xffffffffu, sums.divergence, d);
    }
    if (lane % 16 == 0) {
      float* row = rows + warp * 16 + lane_row(i, lane);
      row[kLargest * kSide] = largest;
      row[kSum * kSide] = sums.sum;
      row[kLabelLargest * kSide] = label_largest;
      row[kLabelSum * kSide] = sums.label_sum;
      row[kDivergence * kSide] = sums.divergence;
    }
  }
}

// parts: [kParts][4 warps][64]
__device__ __forceinline__ void reduce_columns(const LanePairs& pairs, float* parts, int warp, int lane) {
  auto of_warp = [&](int part, int w, int column) -> float& {
    return parts[(part * 4 + w) * kSide + column];
  };
  auto of_all = [&](int part, int column) {
    return fmaxf(fmaxf(of_warp(part, 0, column), of_warp(part, 1, column)),
                 fmaxf(of_warp(part, 2, column), of_warp(part, 3, column)));
  };
#pragma unroll
  for (int j = 0; j < kLaneTexts; ++j) {
    float largest = -INFINITY, label_largest = -INFINITY;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      largest = fmaxf(largest, pairs.s[i][j]);
      label_largest = fmaxf(label_largest, pairs.label[i][j]);
    }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 16));
    label_largest = fmaxf(label_largest, __shfl_xor_sync(0xffffffffu, label_largest, 16));
    if (lane < 16) {
      of_warp(kLargest, warp, lane + 16 * j) = largest;
      of_warp(kLabelLargest, warp, lane + 16 * j) = label_largest;
    }
  }
  __syncthreads();  // every warp's maxima are there
#pragma unroll
  for (int j = 0; j < kLaneTexts; ++j) {
    const int column = lane % 16 + 16 * j;
    const float largest = of_all(kLargest, column), label_largest = of_all(kLabelLargest, column);
    LineSums sums;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) sums.add(pairs.s[i][j], pairs.label[i][j], 1, largest, label_largest);
    sums.sum += __shfl_xor_sync(0xffffffffu, sums.sum, 16);
    sums.label_sum += __shfl_xor_sync(0xffffffffu, sums.label_sum, 16);
    sums.divergence += __shfl_xor_sync(0xffffffffu, sums.divergence, 16);
    if (lane < 16) {
      of_warp(kSum, warp, column) = sums.sum;
      of_warp(kLabelSum, warp, column) = sums.label_sum;
      of_warp(kDivergence, warp, column) = sums.divergence;
    }
  }
}

// Threads: 128, a block for each tile of 64 clips and 64 texts, texts fastest; warp w has clips 16 w .. 16 w
// + 15. products: [B, K], or null: computed. Shared: 2 stages of operands, then in their place parts of
// columns [kParts][4][64] and of rows [kParts][64].
template <bool kPrompted>
__global__ void __launch_bounds__(128, 3)
    contrastive_loss_forward_kernel(const __grid_constant__ ContrastiveInput in, const float* products,
                                    float* rows, float* columns) {
  extern __shared__ __align__(16) float shared[];
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int text_tiles = ceil_div(in.texts, kSide);
  const int clip_tile = static_cast<int>(blockIdx.x) / text_tiles,
            text_tile = static_cast<int>(blockIdx.x) % text_tiles;
  const int clip0 = clip_tile * kSide, text0 = text_tile * kSide;
  LanePairs pairs;
  if (!kPrompted) {
    multiply_tile(pairs.s, {in.v + clip0 * in.v_pitch, in.v_pitch, in.clips - clip0},
                  {in.t + text0 * in.t_pitch, in.t_pitch, in.texts - text0}, in.dim, in.vector, shared, warp,
                  lane);
  }
#pragma unroll
  for (int j = 0; j < kLaneTexts; ++j) {
    const int text = text0 + lane % 16 + 16 * j;
    pairs.count[j] = text < in.texts ? static_cast<float>(in.counts[text]) : 0.0f;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const int clip = clip0 + warp * 16 + lane_row(i, lane);
      const bool inside = clip < in.clips && text < in.texts;
      if (kPrompted && inside) pairs.s[i][j] = products[static_cast<std::int64_t>(clip) * in.texts + text];
      pairs.s[i][j] = inside ? pairs.s[i][j] / in.temperature : -INFINITY;
      pairs.label[i][j] = inside ? label_of(in, in.positives[clip * in.positives_pitch + text]) : -INFINITY;
    }
  }
  float* row_parts = shared + kParts * 4 * kSide;
  reduce_columns(pairs, shared, warp, lane);
  reduce_rows(pairs, row_parts, warp, lane);
  __syncthreads();  // the parts of all warps are there
  const int item = static_cast<int>(threadIdx.x) % kSide;
  if (threadIdx.x < kSide) {
    if (clip0 + item >= in.clips) return;  // behind the last barrier
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      rows[(static_cast<std::int64_t>(text_tile) * kParts + part) * in.clips + clip0 + item] =
          row_parts[part * kSide + item];
    }
  } else if (text0 + item < in.texts) {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const float* p = shared + part * 4 * kSide + item;
      const bool is_maximum = part == kLargest || part == kLabelLargest;
      columns[(static_cast<std::int64_t>(clip_tile) * kParts + part) * in.texts + text0 + item] =
          is_maximum ? fmaxf(fmaxf(p[0], p[kSide]), fmaxf(p[2 * kSide], p[3 * kSide]))
                     : (p[0] + p[kSide]) + (p[2 * kSide] + p[3 * kSide]);
    }
  }
}

// A thread for each row and then each column: merges what the tiles say of it, in their order and in double.
// losses: [B + K].
__global__ void __launch_bounds__(128)
    contrastive_loss_merge_kernel(const __grid_constant__ ContrastiveInput in, const float* rows,
                                  const float* columns, ContrastiveNormalisers out, double* losses) {
  const int item = static_cast<int>(blockIdx.x * 128 + threadIdx.x);
  if (item >= in.clips + in.texts) return;
  const bool is_row = item < in.clips;
  const int line = is_row ? item : item - in.clips, items = is_row ? in.clips : in.texts;
  const int tiles = ceil_div(is_row ? in.texts : in.clips, kSide);
  const float* parts = (is_row ? rows : columns) + line;
  auto part_of = [&](int tile, int part) {
    return parts[(static_cast<std::int64_t>(tile) * kParts + part) * items];
  };
  float largest = -INFINITY, label_largest = -INFINITY;
  for (int tile = 0; tile < tiles; ++tile) {
    largest = fmaxf(largest, part_of(tile, kLargest));
    label_largest = fmaxf(label_largest, part_of(tile, kLabelLargest));
  }
  double sum = 0, label_sum = 0, divergence = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    const float of_tile = part_of(tile, kSum), of_labels = part_of(tile, kLabelSum);
    if (of_tile != 0) sum += of_tile * exp(static_cast<double>(part_of(tile, kLargest)) - largest);
    if (of_labels > 0) {
      const double factor = exp(static_cast<double>(part_of(tile, kLabelLargest)) - label_largest);
      label_sum += of_labels * factor;
      divergence += part_of(tile, kDivergence) * factor;
    }
  }
  const double lse = largest + log(sum), target_lse = label_largest + log(label_sum);
  (is_row ? out.row : out.column)[line] = static_cast<float>(lse);
  (is_row ? out.target_row : out.target_column)[line] = static_cast<float>(target_lse);
  const int weight = is_row ? 1 : in.counts[line];
  losses[item] = weight > 0 ? weight * (divergence / label_sum + lse - target_lse) : 0.0;
}

// loss = sum of `count` losses, times factor. One block of 256.
__global__ void __launch_bounds__(256)
    contrastive_loss_sum_kernel(const double* losses, int count, double factor, float* loss) {
  __shared__ double parts[8];
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += 256) sum += losses[i];
#pragma unroll
  for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    sum = 0;
    for (const double part : parts) sum += part;
    *loss = static_cast<float>(sum * factor);
  }
}

}  // namespace
}  // namespace cuda

void contrastive_loss_forward(const ContrastiveLossForward& args, CudaStream& stream) {
  using namespace cuda;
  const ContrastiveInput in = contrastive_input(args.problem);
  const std::int64_t clip_tiles = ceil_div(in.clips, kSide), text_tiles = ceil_div(in.texts, kSide);
  const std::int64_t row_floats = text_tiles * kParts * in.clips,
                     column_floats = clip_tiles * kParts * in.texts;
  auto* rows = static_cast<float*>(
      stream.workspace(0, static_cast<std::size_t>(row_floats + column_floats) * sizeof(float)));
  float* columns = rows + row_floats;
  auto* losses = static_cast<double*>(
      stream.workspace(1, static_cast<std::size_t>(in.clips + in.texts) * sizeof(double)));
  const dim3 tiles(static_cast<unsigned>(clip_tiles * text_tiles));
  if (is_prompted(args.problem)) {
    const std::int64_t pairs = static_cast<std::int64_t>(in.clips) * in.texts;
    auto* products =
        static_cast<float*>(stream.workspace(2, static_cast<std::size_t>(pairs) * sizeof(float)));
    launch(stream, "contrastive_prompted_forward_kernel", contrastive_prompted_forward_kernel,
           dim3(static_cast<unsigned>(ceil_div(pairs, 8))), 256, 0, in, products);
    launch(stream, "contrastive_loss_forward_kernel", contrastive_loss_forward_kernel<true>, tiles, 128,
           kParts * 5 * kSide * sizeof(float), in, products, rows, columns);
  } else {
    launch(stream, "contrastive_loss_forward_kernel", contrastive_loss_forward_kernel<false>, tiles, 128,
           2 * kStageFloats * sizeof(float), in, nullptr, rows, columns);
  }
  launch(stream, "contrastive_loss_merge_kernel", contrastive_loss_merge_kernel,
         dim3(static_cast<unsigned>(ceil_div(in.clips + in.texts, 128))), 128, 0, in, rows, columns,
         args.normalisers, losses);
  launch(stream, "contrastive_loss_sum_kernel", contrastive_loss_sum_kernel, dim3(1), 256, 0, losses,
         in.clips + in.texts, 0.5 / in.clips, args.loss);
}

}  // namespace mg
