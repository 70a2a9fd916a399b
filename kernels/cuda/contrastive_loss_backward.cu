// The contrastive loss, backward. The gradient of v_i . t_k is
//   g_ik = dloss / (2 B temperature) counts_k [softmax_row - target_row + softmax_column - target_column]
// and dv = g t, dt = g^T v. Similarities are recomputed by tile, once for dv and once for dt: nothing of size
// B x K is stored. Prompted texts [B, K, D] have dt_ik = g_ik v_i; their g are small beside them and are
// stored for dv.
#include "kernels/cuda/contrastive_loss.cuh"

namespace mg {

namespace cuda {
namespace {

constexpr int kWide = 128;  // channels of a gradient that a block computes
constexpr int kGradientPitch =
    kSide + 4;  // of a tile of g: copies to eight rows and four columns find 32 banks

struct ContrastiveGradient {
  ContrastiveInput in;
  ContrastiveNormalisers norm;
  const float* dloss;

  __device__ __forceinline__ float factor() const {
    return static_cast<float>(static_cast<double>(*dloss) * 0.5 /
                              (static_cast<double>(in.clips) * static_cast<double>(in.temperature)));
  }
};

// What g needs of a clip or of a text.
struct Line {
  float lse = 0, target_lse = 0, count = 1;
};
__device__ __forceinline__ Line clip_line(const ContrastiveGradient& args, int clip) {
  return {args.norm.row[clip], args.norm.target_row[clip], 1.0f};
}
__device__ __forceinline__ Line text_line(const ContrastiveGradient& args, int text) {
  return {args.norm.column[text], args.norm.target_column[text], static_cast<float>(args.in.counts[text])};
}
// g over the factor.
__device__ __forceinline__ float pair_gradient(const ContrastiveInput& in, float product, float positive,
                                               const Line& clip, const Line& text) {
  const float s = product / in.temperature, label = label_of(in, positive);
  const float rows = expf(s - clip.lse) - expf(label - clip.target_lse);
  const float columns = expf(s - text.lse) - expf(label - text.target_lse);
  const float count = clip.count * text.count;
  return count > 0 ? count * (rows + columns) : 0.0f;  // a text of nobody may be too similar for exp
}

// Starts copies of the positives of 64 own and 64 other rows into [own][kGradientPitch]; 0 outside.
template <bool kForTexts>
__device__ __forceinline__ void load_positives(float* tile, const ContrastiveInput& in, int own0,
                                               int other0) {
  for (int i = static_cast<int>(threadIdx.x); i < kSide * kSide; i += 128) {
    // Of texts, a warp copies 4 clips x 8 texts: whole sectors, and different banks.
    const int own = kForTexts ? i / 32 % 8 * 8 + i % 8 : i / kSide;
    const int other = kForTexts ? i / 256 * 4 + i % 32 / 8 : i % kSide;
    const int clip = kForTexts ? other0 + other : own0 + own, text = kForTexts ? own0 + own : other0 + other;
    const bool inside = clip < in.clips && text < in.texts;
    copy_async<4>(shared_address(tile + own * kGradientPitch + other),
                  inside ? in.positives + clip * in.positives_pitch + text : in.positives, inside);
  }
}

// Threads: 128; a block has 64 own rows (clips for dv, texts for dt) and 128 channels of their gradient,
// channels fastest, and walks over the other side. Shared: 2 stages of operands, and in their place the other
// rows' 128 channels, [64][128]; then positives, and in their place g, [64][64].
template <bool kForTexts>
__global__ void __launch_bounds__(128, 2)
    contrastive_loss_backward_kernel(const __grid_constant__ ContrastiveGradient args, float* out,
                                     std::int64_t pitch, bool vector) {
  extern __shared__ __align__(16) float shared[];
  const ContrastiveInput& in = args.in;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int parts = ceil_div(in.dim, kWide), channel0 = static_cast<int>(blockIdx.x) % parts * kWide;
  const int own0 = static_cast<int>(blockIdx.x) / parts * kSide;
  const int own_rows = kForTexts ? in.texts : in.clips, other_rows = kForTexts ? in.clips : in.texts;
  const std::int64_t own_pitch = kForTexts ? in.t_pitch : in.v_pitch,
                     other_pitch = kForTexts ? in.v_pitch : in.t_pitch;
  const float *own = (kForTexts ? in.t : in.v) + own0 * own_pitch, *other = kForTexts ? in.v : in.t;
  float *tile = shared, *gradients = shared + 2 * kStageFloats;
  float acc[kLaneRows][kWide / 16] = {};
#pragma unroll 1
  for (int other0 = 0; other0 < other_rows; other0 += kSide) {
    const int left = other_rows - other0;
    load_positives<kForTexts>(gradients, in, own0, other0);
    float s[kLaneRows][kLaneTexts] = {};
    multiply_tile(s, {own, own_pitch, own_rows - own0}, {other + other0 * other_pitch, other_pitch, left},
                  in.dim, in.vector, shared, warp, lane);
    load_rows<kWide>(tile, kSide, other + other0 * other_pitch + channel0, other_pitch, left,
                     in.dim - channel0, in.vector);
    commit_copies();
#pragma unroll
    for (int j = 0; j < kLaneTexts; ++j) {
      const int column = lane % 16 + 16 * j;
      Line other_line;
      if (column < left)
        other_line = kForTexts ? clip_line(args, other0 + column) : text_line(args, other0 + column);
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
        const int row = warp * 16 + lane_row(i, lane);
        float& g = gradients[row * kGradientPitch + column];  // the positive, until it is overwritten
        if (column >= left || own0 + row >= own_rows) {
          g = 0.0f;
          continue;
        }
        const Line own_line = kForTexts ? text_line(args, own0 + row) : clip_line(args, own0 + row);
        g = kForTexts ? pair_gradient(in, s[i][j], g, other_line, own_line)
                      : pair_gradient(in, s[i][j], g, own_line, other_line);
      }
    }
    wait_copies<0>();
    __syncthreads();  // the other rows are there for every thread, and g for its warp
    accumulate_rows<kWide, kGradientPitch>(acc, gradients + warp * 16 * kGradientPitch, tile,
                                           min(kSide, ceil_div(left, 4) * 4), lane);
    __syncthreads();  // all are done with this block of the other side
  }
  float factor[kLaneRows];
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) factor[i] = args.factor();
  const bool last = channel0 + kWide >= in.dim;
  const auto padded = ceil_div(static_cast<std::int64_t>(in.dim), kChannelAlign) * kChannelAlign;
  const int padding = last ? static_cast<int>(min(pitch, padded)) - in.dim : 0;
  const int row0 = own0 + warp * 16;
  store_lane_rows<kWide>(acc, factor, out + row0 * pitch + channel0, pitch, own_rows - row0,
                         min(kWide, in.dim - channel0), vector, padding, lane);
}

// dt[i, k] = g_ik v_i, and g [B, K] for the next kernel. A warp for each clip and text.
__global__ void __launch_bounds__(256)
    contrastive_prompted_backward_kernel(const __grid_constant__ ContrastiveGradient args, float* dt,
                                         std::int64_t pitch, float* gradients) {
  const ContrastiveInput& in = args.in;
  const std::int64_t pairs = static_cast<std::int64_t>(in.clips) * in.texts;
  const std::int64_t pair = static_cast<std::int64_t>(blockIdx.x) * 8 + threadIdx.x / 32;
  const std::int64_t mine =
      min(pair, pairs - 1);  // the last block's idle warps compute what they do not write
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int clip = static_cast<int>(mine / in.texts), text = static_cast<int>(mine % in.texts);
  const float product = prompted_product(in, clip, text, lane);
  if (pair >= pairs) return;
  const float g = args.factor() * pair_gradient(in, product, in.positives[clip * in.positives_pitch + text],
                                                clip_line(args, clip), text_line(args, text));
  if (lane == 0) gradients[pair] = g;
  const float* v = in.v + clip * in.v_pitch;
  float* out = dt + pair * pitch;
  const auto width = static_cast<int>(
      min(pitch, ceil_div(static_cast<std::int64_t>(in.dim), kChannelAlign) * kChannelAlign));
  if (in.vector && reinterpret_cast<std::uintptr_t>(dt) % 16 == 0 && pitch % 4 == 0) {
    for (int c = lane * 4; c < width; c += 128) {
      float4 x = make_float4(0, 0, 0, 0);
      if (c < in.dim) x = *reinterpret_cast<const float4*>(v + c);  // with zeros behind the last channel
      *reinterpret_cast<float4*>(out + c) = make_float4(g * x.x, g * x.y, g * x.z, g * x.w);
    }
  } else {
    for (int c = lane; c < width; c += 32) out[c] = c < in.dim ? g * v[c] : 0.0f;
  }
}

// dv[i] = sum over k of g_ik t_ik. A block of 8 warps for each clip and 32 channels, channels fastest: warp w
// sums texts w, w + 8, ...
__global__ void __launch_bounds__(256)
    contrastive_prompted_clips_kernel(const __grid_constant__ ContrastiveInput in, const float* gradients,
                                      float* dv, std::int64_t pitch, int parts) {
  __shared__ float sums[8][32];
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int clip = static_cast<int>(blockIdx.x) / parts,
            channel = static_cast<int>(blockIdx.x) % parts * 32 + lane;
  const std::int64_t first = static_cast<std::int64_t>(clip) * in.texts;
  float sum = 0;
  if (channel < in.dim) {
    for (int k = warp; k < in.texts; k += 8) {
      sum = fmaf(gradients[first + k], in.t[(first + k) * in.t_pitch + channel], sum);
    }
  }
  sums[warp][lane] = sum;
  __syncthreads();
  const auto width = min(pitch, ceil_div(static_cast<std::int64_t>(in.dim), kChannelAlign) * kChannelAlign);
  if (warp == 0 && channel < width) {
    for (int w = 1; w < 8; ++w) sum += sums[w][lane];
    dv[clip * pitch + channel] = sum;  // zero behind the last channel
  }
}

void launch_prompted(CudaStream& stream, const ContrastiveGradient& args, const View& dv, const View& dt) {
  const ContrastiveInput& in = args.in;
  const std::int64_t pairs = static_cast<std::int64_t>(in.clips) * in.texts;
  auto* gradients = static_cast<float*>(stream.workspace(0, static_cast<std::size_t>(pairs) * sizeof(float)));
  launch(stream, "contrastive_prompted_backward_kernel", contrastive_prompted_backward_kernel,
         dim3(static_cast<unsigned>(ceil_div(pairs, 8))), 256, 0, args, dt.f32(), dt.pitch, gradients);
  const int parts = ceil_div(static_cast<int>(round_up(in.dim, kChannelAlign)), 32);
  launch(stream, "contrastive_prompted_clips_kernel", contrastive_prompted_clips_kernel,
         dim3(static_cast<unsigned>(static_cast<std::int64_t>(in.clips) * parts)), 256, 0, in, gradients,
         dv.f32(), dv.pitch, parts);
}

}  // namespace
}  // namespace cuda

void contrastive_loss_backward(const ContrastiveLossBackward& args, CudaStream& stream) {
  using namespace cuda;
  const ContrastiveGradient gradient{contrastive_input(args.problem), args.normalisers, args.dloss};
  if (is_prompted(args.problem)) return launch_prompted(stream, gradient, args.dv, args.dt);
  const ContrastiveInput& in = gradient.in;
  constexpr std::size_t kBytes = (2 * kStageFloats + kSide * kGradientPitch) * sizeof(float);
  static_assert(kSide * kTilePitch<kWide, float> <= 2 * kStageFloats);
  const int parts = ceil_div(in.dim, kWide);
  const auto launch_side = [&](auto kernel, int rows, const View& out) {
    launch(stream, "contrastive_loss_backward_kernel", kernel,
           dim3(static_cast<unsigned>(ceil_div(rows, kSide) * parts)), 128, kBytes, gradient, out.f32(),
           out.pitch, rows_are_vectors(out) && in.dim % 4 == 0);
  };
  launch_side(contrastive_loss_backward_kernel<false>, in.clips, args.dv);
  launch_side(contrastive_loss_backward_kernel<true>, in.texts, args.dt);
}

}  // namespace mg
