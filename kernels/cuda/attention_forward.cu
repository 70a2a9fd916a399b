// Fused attention, forward: y = softmax(scale q k^T) v by blocks of keys with a running maximum (online
// softmax: Milakov and Gimelshein 2018; on tensor cores: Dao 2023), tensors [B, L, H * D]. A block has up to
// 64 queries of one head, a warp 16 of them; nothing of size Lq x Lk leaves the registers.
#include "kernels/cuda/attention.cuh"

namespace mg {

namespace cuda {
namespace {

template <class Elem>
struct ForwardOutput {
  Elem* y;
  std::int64_t pitch;
  float* lse;  // [B, H, Lq]
};

// 2 stages of K and V: [2][2][tile_rows][kDim]; the queries pass through the second stage before it is
// needed.
template <int kDim>
std::size_t forward_shared_bytes(int tile_rows) {
  return static_cast<std::size_t>(4 * tile_rows) * kTilePitch<kDim, BF16> * sizeof(BF16);
}

// A warp's softmax so far: of rows g and g + 8, the largest score times log2(e), and this lane's share of the
// sum.
struct RunningSoftmax {
  float largest[2] = {-INFINITY, -INFINITY};
  float sum[2] = {0, 0};

  // Products [16][64], of which 16 * chunks are there, become weights 2^(scale * product - largest); returns
  // the factors on what was summed before.
  __device__ __forceinline__ void absorb(float (&s)[8][4], int chunks, float scale, float (&factor)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = -INFINITY;
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        if (n / 2 < chunks) most = fmaxf(most, fmaxf(s[n][half * 2], s[n][half * 2 + 1]));
      }
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      most = fmaxf(largest[half], most * scale);
      factor[half] =
          exp2f(largest[half] - most);  // at first 0: key 0 is never padding, so that most is finite
      largest[half] = most;
      sum[half] *= factor[half];
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (c >= chunks) continue;
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        float& weight = s[2 * c + e / 4][e % 4];
        weight = exp2f(fmaf(weight, scale, -largest[e / 2 % 2]));
        sum[e / 2 % 2] += weight;
      }
    }
  }
  __device__ __forceinline__ float total(int half) const {
    const float pair = sum[half] + __shfl_xor_sync(0xffffffffu, sum[half], 1);
    return pair + __shfl_xor_sync(0xffffffffu, pair, 2);
  }
};

// Of a warp: s = its queries times the tile's keys; minus infinity from key `left` on.
template <int kDim>
__device__ __forceinline__ void score_block(float (&s)[8][4], const std::uint32_t (&q)[kDim / 16][4],
                                            const BF16* keys, int chunks, int left, int lane) {
  const std::uint32_t across = lane_across<kDim>(keys, lane);
#pragma unroll
  for (int c = 0; c < 4; ++c) {
    if (c >= chunks) continue;
#pragma unroll
    for (int e = 0; e < 4; ++e) s[2 * c][e] = s[2 * c + 1][e] = 0.0f;
#pragma unroll
    for (int d = 0; d < kDim / 16; ++d) {
      std::uint32_t k[2][2];
      load_b(k, across + tile_offset<kDim>(c * 16, d * 16));
      mma_bf16(s[2 * c], q[d], k[0]);
      mma_bf16(s[2 * c + 1], q[d], k[1]);
    }
    if (left >= c * 16 + 16) continue;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const int key = c * 16 + e / 4 * 8 + lane % 4 * 2 + e % 2;
      if (key >= left) s[2 * c + e / 4][e % 4] = -INFINITY;
    }
  }
}

// Threads: 32 for each 16 queries. Scores and weights stay in registers in the layout of mma's result, which
// is also that of its first operand.
template <int kDim>
__global__ void __launch_bounds__(128, kDim <= 32   ? 4
                                       : kDim == 64 ? 3
                                                    : 2)
    attention_forward_kernel(const __grid_constant__ AttentionInput<BF16> in, ForwardOutput<BF16> out,
                             int tile_rows) {
  extern __shared__ __align__(16) unsigned char shared[];
  const AttentionBlock at(in, in.queries);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int row0 = at.row0 + warp * 16, tile = tile_rows * kTilePitch<kDim, BF16>;
  auto keys_of = [&](int stage) { return reinterpret_cast<BF16*>(shared) + 2 * stage * tile; };
  auto load_block = [&](int block) {
    const int key0 = block * 64, left = min(64, at.keys - key0), count = ceil_div(left, 16) * 16;
    BF16* keys = keys_of(block & 1);
    load_rows<kDim>(keys, count, head_row(in.k, in.k_pitch, at, in.keys, key0, in.dim), in.k_pitch, left,
                    in.dim, in.vector);
    load_rows<kDim>(keys + tile, count, head_row(in.v, in.v_pitch, at, in.keys, key0, in.dim), in.v_pitch,
                    left, in.dim, in.vector);
  };
  load_rows<kDim>(keys_of(1), static_cast<int>(blockDim.x) / 2,
                  head_row(in.q, in.q_pitch, at, in.queries, at.row0, in.dim), in.q_pitch,
                  in.queries - at.row0, in.dim, in.vector);
  load_block(0);
  commit_copies();
  wait_copies<0>();
  __syncthreads();
  std::uint32_t q[kDim / 16][4];
#pragma unroll
  for (int d = 0; d < kDim / 16; ++d)
    load_a(q[d], lane_along<kDim>(keys_of(1), lane) + tile_offset<kDim>(warp * 16, d * 16));
  __syncthreads();  // the second stage is free

  float y[kDim / 8][4] = {};
  RunningSoftmax softmax;
  const float scale = in.scale * 1.44269504f, keep = 1.0f / (1.0f - in.dropout);
  const int blocks = ceil_div(at.keys, 64);
#pragma unroll 1
  for (int block = 0; block < blocks; ++block) {
    if (block + 1 < blocks) load_block(block + 1);
    commit_copies();
    wait_copies<1>();
    __syncthreads();  // this block's keys and values have landed for every thread
    const int left = min(64, at.keys - block * 64), chunks = ceil_div(left, 16);
    const BF16 *keys = keys_of(block & 1), *values = keys + tile;
    float s[8][4], factor[2];
    score_block<kDim>(s, q, keys, chunks, left, lane);
    softmax.absorb(s, chunks, scale, factor);
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) y[n][e] *= factor[e / 2];
    }
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (c >= chunks) continue;
      if (in.dropout > 0) {
        const std::uint32_t kept = keep_chunk(in, at, row0, block * 64 + c * 16, lane);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const std::uint32_t bits = __shfl_sync(0xffffffffu, kept, lane / 4 * 2 + half * 16) >> lane % 4 * 2;
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            float& weight = s[2 * c + e / 2][half * 2 + e % 2];
            weight = bits >> (e / 2 * 8 + e % 2) & 1 ? weight * keep : 0.0f;
          }
        }
      }
      std::uint32_t weights[4];
      as_a(weights, s[2 * c], s[2 * c + 1]);
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        std::uint32_t v[2][2];
        load_b_trans(v, lane_along<kDim>(values, lane) + tile_offset<kDim>(c * 16, d * 16));
        mma_bf16(y[2 * d], weights, v[0]);
        mma_bf16(y[2 * d + 1], weights, v[1]);
      }
    }
    __syncthreads();  // all are done with this stage, which is filled next
  }

  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = softmax.total(half);
    const int row = row0 + lane / 4 + half * 8;
    inverse[half] = 1.0f / sum;
    if (lane % 4 == 0 && row < in.queries) {
      out.lse[(static_cast<std::int64_t>(at.b) * in.heads + at.h) * in.queries + row] =
          (softmax.largest[half] + log2f(sum)) * 0.693147181f;
    }
  }
  store_warp_rows<kDim>(y, inverse, keys_of(0) + warp * 16 * kTilePitch<kDim, BF16>,
                        head_row(out.y, out.pitch, at, in.queries, row0, in.dim), out.pitch,
                        in.queries - row0, in.dim, in.vector, padding_of(in, at, out.pitch), lane);
}

// Keys of a block: with 128 channels fewer, so that two blocks of threads fit a multiprocessor.
template <int kDim>
inline constexpr int kForwardKeys = kDim <= 64 ? 64 : 32;

// Queries [rows][kDim], keys and values [key_rows][kDim], weights [rows][kKeys], dropout's bits [rows][kKeys
// / 16].
template <int kDim>
std::size_t forward_f32_shared_bytes(int rows, int key_rows) {
  constexpr int kKeys = kForwardKeys<kDim>;
  return sizeof(float) * static_cast<std::size_t>((rows + 2 * key_rows) * kTilePitch<kDim, float> +
                                                  rows * (kWeightPitch<kKeys> + kKeys / 16));
}

// The fp32 kernel's softmax, of a lane's 8 rows: every lane of a row has its largest, and a share of its sum.
template <int kColumns>
__device__ __forceinline__ void absorb_scores(float (&s)[kLaneRows][kColumns], int chunks, float scale,
                                              int left, float (&largest)[kLaneRows], float (&sum)[kLaneRows],
                                              float (&factor)[kLaneRows], int lane) {
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
    float most = largest[i];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      s[i][j] = lane % 16 + 16 * j < left ? s[i][j] * scale : -INFINITY;
      most = fmaxf(most, s[i][j]);
    }
#pragma unroll
    for (int d = 8; d > 0; d /= 2) most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, d));
    factor[i] = expf(largest[i] - most);
    largest[i] = most;
    sum[i] *= factor[i];
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      if (j >= chunks) continue;
      s[i][j] = expf(s[i][j] - most);
      sum[i] += s[i][j];
    }
  }
}

// Threads: 32 for each 16 queries. Weights pass to the second product through the warp's own rows of shared
// memory.
template <int kDim>
__global__ void __launch_bounds__(128, 3)
    attention_forward_f32_kernel(const __grid_constant__ AttentionInput<float> in, ForwardOutput<float> out,
                                 int key_rows) {
  constexpr int kKeys = kForwardKeys<kDim>, kColumns = kKeys / 16, kPitch = kTilePitch<kDim, float>;
  extern __shared__ __align__(16) unsigned char shared[];
  const AttentionBlock at(in, in.queries);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int row0 = at.row0 + warp * 16, rows = static_cast<int>(blockDim.x) / 2;
  auto* queries = reinterpret_cast<float*>(shared);
  float *keys = queries + rows * kPitch, *values = keys + key_rows * kPitch,
        *all_weights = values + key_rows * kPitch;
  float* weights = all_weights + warp * 16 * kWeightPitch<kKeys>;
  auto* kept = reinterpret_cast<std::uint32_t*>(all_weights + rows * kWeightPitch<kKeys>);
  load_rows<kDim>(queries, rows, head_row(in.q, in.q_pitch, at, in.queries, at.row0, in.dim), in.q_pitch,
                  in.queries - at.row0, in.dim, in.vector);

  float y[kLaneRows][kDim / 16] = {}, largest[kLaneRows], sum[kLaneRows] = {}, factor[kLaneRows];
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) largest[i] = -INFINITY;
  const float keep = 1.0f / (1.0f - in.dropout);
#pragma unroll 1
  for (int key0 = 0; key0 < at.keys; key0 += kKeys) {
    const int left = min(kKeys, at.keys - key0), chunks = ceil_div(left, 16);
    load_rows<kDim>(keys, chunks * 16, head_row(in.k, in.k_pitch, at, in.keys, key0, in.dim), in.k_pitch,
                    left, in.dim, in.vector);
    commit_copies();
    load_rows<kDim>(values, chunks * 16, head_row(in.v, in.v_pitch, at, in.keys, key0, in.dim), in.v_pitch,
                    left, in.dim, in.vector);
    commit_copies();
    if (in.dropout > 0) {
      for (int i = static_cast<int>(threadIdx.x); i < rows * kColumns; i += static_cast<int>(blockDim.x)) {
        kept[i] = keep_bits<16>(in, at, at.row0 + i / kColumns, key0 + i % kColumns * 16);
      }
    }
    wait_copies<1>();
    __syncthreads();  // queries, keys and bits are there for every thread; the values may still be under way
    float s[kLaneRows][kColumns] = {};
    dot_rows<kDim>(s, queries + warp * 16 * kPitch, keys, in.dim, chunks, lane);
    absorb_scores(s, chunks, in.scale, left, largest, sum, factor, lane);
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const int row = lane_row(i, lane);
#pragma unroll
      for (int n = 0; n < kDim / 16; ++n) y[i][n] *= factor[i];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        if (j >= chunks) continue;
        float weight = s[i][j];
        if (in.dropout > 0)
          weight = kept[(warp * 16 + row) * kColumns + j] >> lane % 16 & 1 ? weight * keep : 0.0f;
        weights[row * kWeightPitch<kKeys> + lane % 16 + 16 * j] = weight;
      }
    }
    wait_copies<0>();
    __syncthreads();  // the values are there for every thread, and the weights for their warp
    accumulate_rows<kDim, kWeightPitch<kKeys>>(y, weights, values, chunks * 16, lane);
    __syncthreads();  // all are done with this block of keys
  }

#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
    for (int d = 8; d > 0; d /= 2) sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], d);
    factor[i] = 1.0f / sum[i];
    const int row = row0 + lane_row(i, lane);
    if (lane % 16 == 0 && row < in.queries) {
      out.lse[(static_cast<std::int64_t>(at.b) * in.heads + at.h) * in.queries + row] =
          largest[i] + logf(sum[i]);
    }
  }
  store_lane_rows<kDim>(y, factor, head_row(out.y, out.pitch, at, in.queries, row0, in.dim), out.pitch,
                        in.queries - row0, in.dim, in.vector, padding_of(in, at, out.pitch), lane);
}

}  // namespace
}  // namespace cuda

void attention_forward(const AttentionForward& args, CudaStream& stream) {
  using namespace cuda;
  const AttentionProblem& p = args.problem;
  const std::int64_t queries = p.q.shape[1], keys = p.k.shape[1], dim = p.q.channels() / p.heads;
  const dim3 grid(static_cast<unsigned>(ceil_div(queries, kAttentionRows) * p.heads * p.q.shape[0]));
  const int threads = attention_threads(queries);
  with_elem(p.q.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    AttentionInput<Elem> in = attention_input<Elem>(p);
    in.vector = in.vector && has_vectors(args.y, dim);
    const ForwardOutput<Elem> out{data<Elem>(args.y), args.y.pitch, args.lse};
    with_head_tile(dim, [&](auto tile) {
      constexpr int kDim = decltype(tile)::value;
      if constexpr (std::is_same_v<Elem, BF16>) {
        const auto rows = static_cast<int>(std::min<std::int64_t>(64, round_up(std::max(queries, keys), 16)));
        launch(stream, "attention_forward_kernel", attention_forward_kernel<kDim>, grid, threads,
               forward_shared_bytes<kDim>(rows), in, out, rows);
      } else {
        const int key_rows = std::min(kForwardKeys<kDim>, ceil_div(in.keys, 16) * 16);
        launch(stream, "attention_forward_f32_kernel", attention_forward_f32_kernel<kDim>, grid, threads,
               forward_f32_shared_bytes<kDim>(threads / 2, key_rows), in, out, key_rows);
      }
    });
  });
}

}  // namespace mg
