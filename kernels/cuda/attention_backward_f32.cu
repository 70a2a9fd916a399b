// Attention's backward pass in fp32, by multiply-adds: see attention_backward.cu.
#include "kernels/cuda/attention_backward.cuh"

namespace mg::cuda {

namespace {

// Other rows of a block in fp32.
inline constexpr int kOther = 32;

// Own 1 and 2 [rows][kDim], other 1 and 2 [kOther][kDim], weights [rows][kOther], log-sum-exps and dots
// [2][kOther], dropout's bits: [query][16 keys each].
template <int kDim>
std::size_t backward_f32_shared_bytes(int rows) {
  return sizeof(float) *
         static_cast<std::size_t>(2 * (rows + kOther) * kTilePitch<kDim, float> +
                                  rows * kWeightPitch<kOther> + 2 * kOther + rows * (kOther / 16));
}

// What one lane of the fp32 kernel knows of its 8 x 2 weights.
struct LaneBlock {
  float s[kLaneRows][2] = {}, dp[kLaneRows][2] = {};
};

// Weights with dropout into s, gradients of the scores over scale into dp. kept: words of 16 keys.
template <bool kForKeys>
__device__ __forceinline__ void to_gradients(LaneBlock& block, const AttentionInput<float>& in, int warp,
                                             int lane, const float (&own_lse)[kLaneRows],
                                             const float (&own_dot)[kLaneRows], const float* columns,
                                             const std::uint32_t* kept, int valid_rows, int left) {
  const float keep = 1.0f / (1.0f - in.dropout);
  const int key_words = kForKeys ? static_cast<int>(blockDim.x) / 32 : kOther / 16;
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const int column = lane % 16 + 16 * j;
    const float column_lse = kForKeys && column < left ? columns[column] : 0.0f;
    const float column_dot = kForKeys && column < left ? columns[kOther + column] : 0.0f;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const int row = lane_row(i, lane);
      const float lse = kForKeys ? column_lse : own_lse[i], dot = kForKeys ? column_dot : own_dot[i];
      const bool valid = row < valid_rows && column < left;
      const float weight = valid ? expf(fmaf(block.s[i][j], in.scale, -lse)) : 0.0f;
      float dropped = weight;
      if (in.dropout > 0 && valid) {
        const std::uint32_t bits = kForKeys ? kept[column * key_words + warp] >> row
                                            : kept[(warp * 16 + row) * key_words + j] >> lane % 16;
        dropped = bits & 1 ? weight * keep : 0.0f;
      }
      block.dp[i][j] = dropped * block.dp[i][j] - weight * dot;
      block.s[i][j] = dropped;
    }
  }
}

// A lane's numbers into its warp's rows of the weights.
__device__ __forceinline__ void write_weights(float* weights, const float (&x)[kLaneRows][2], int lane) {
  __syncwarp();  // the product of what was here before is done
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      weights[lane_row(i, lane) * kWeightPitch<kOther> + lane % 16 + 16 * j] = x[i][j];
    }
  }
  __syncwarp();
}

// Threads: 32 for each 16 own rows. The weights pass to the second products through the warp's own rows of
// shared memory.
template <int kDim, bool kForKeys>
__global__ void __launch_bounds__(128, kDim < 64 ? 3 : 2)
    attention_backward_f32_kernel(const __grid_constant__ BackwardInput<float> args) {
  constexpr int kPitch = kTilePitch<kDim, float>;
  extern __shared__ __align__(16) unsigned char shared[];
  const AttentionInput<float>& in = args.in;
  const AttentionBlock at(in, kForKeys ? in.keys : in.queries);
  const Sides<kForKeys, float> sides(args, at);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int row0 = at.row0 + warp * 16, rows = static_cast<int>(blockDim.x) / 2;
  const std::int64_t of_queries = (static_cast<std::int64_t>(at.b) * in.heads + at.h) * in.queries;
  auto* own1 = reinterpret_cast<float*>(shared);
  float *own2 = own1 + rows * kPitch, *other1 = own2 + rows * kPitch, *other2 = other1 + kOther * kPitch;
  float *all_weights = other2 + kOther * kPitch, *columns = all_weights + rows * kWeightPitch<kOther>;
  auto* kept = reinterpret_cast<std::uint32_t*>(columns + 2 * kOther);
  float* weights = all_weights + warp * 16 * kWeightPitch<kOther>;
  load_rows<kDim>(own1, rows, sides.own1 + at.row0 * sides.own1_pitch, sides.own1_pitch, sides.own - at.row0,
                  in.dim, in.vector);
  load_rows<kDim>(own2, rows, sides.own2 + at.row0 * sides.own2_pitch, sides.own2_pitch, sides.own - at.row0,
                  in.dim, in.vector);

  float acc1[kLaneRows][kDim / 16] = {}, acc2[kLaneRows][kForKeys ? kDim / 16 : 1] = {};
  float lse[kLaneRows] = {}, dot[kLaneRows] = {};
  if (!kForKeys) {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      const int row = row0 + lane_row(i, lane);
      if (row < sides.own) lse[i] = args.lse[of_queries + row], dot[i] = args.dot[of_queries + row];
    }
  }
  const int blocks = sides.blocks(at.row0, kOther);
#pragma unroll 1
  for (int n = 0; n < blocks; ++n) {
    const int first = n * kOther, left = min(kOther, sides.other - first), chunks = ceil_div(left, 16);
    load_rows<kDim>(other1, chunks * 16, sides.other1 + first * sides.other1_pitch, sides.other1_pitch, left,
                    in.dim, in.vector);
    load_rows<kDim>(other2, chunks * 16, sides.other2 + first * sides.other2_pitch, sides.other2_pitch, left,
                    in.dim, in.vector);
    commit_copies();
    if (kForKeys && threadIdx.x < kOther && static_cast<int>(threadIdx.x) < left) {
      columns[threadIdx.x] = args.lse[of_queries + first + threadIdx.x];
      columns[kOther + threadIdx.x] = args.dot[of_queries + first + threadIdx.x];
    }
    if (in.dropout > 0) {
      const int queries = kForKeys ? left : rows, words = kForKeys ? rows / 16 : kOther / 16;
      for (int i = static_cast<int>(threadIdx.x); i < queries * words; i += static_cast<int>(blockDim.x)) {
        kept[i] = keep_bits<16>(in, at, (kForKeys ? first : at.row0) + i / words,
                                (kForKeys ? at.row0 : first) + i % words * 16);
      }
    }
    wait_copies<0>();
    __syncthreads();  // this block is there for every thread
    LaneBlock block;
    dot_rows<kDim>(block.s, own1 + warp * 16 * kPitch, other1, in.dim, chunks, lane);
    dot_rows<kDim>(block.dp, own2 + warp * 16 * kPitch, other2, in.dim, chunks, lane);
    to_gradients<kForKeys>(block, in, warp, lane, lse, dot, columns, kept, sides.own - row0, left);
    if constexpr (kForKeys) {
      write_weights(weights, block.s, lane);
      accumulate_rows<kDim, kWeightPitch<kOther>>(acc2, weights, other2, chunks * 16, lane);
    }
    write_weights(weights, block.dp, lane);
    accumulate_rows<kDim, kWeightPitch<kOther>>(acc1, weights, other1, chunks * 16, lane);
    __syncthreads();  // all are done with this block
  }
  if (blocks == 0) wait_copies<0>();  // the copies of own rows end before the block does

  float factor[kLaneRows];
#pragma unroll
  for (int i = 0; i < kLaneRows; ++i) factor[i] = in.scale;
  store_lane_rows<kDim>(acc1, factor, head_row(args.out1, args.pitch1, at, sides.rows, row0, in.dim),
                        args.pitch1, sides.rows - row0, in.dim, in.vector, padding_of(in, at, args.pitch1),
                        lane);
  if constexpr (kForKeys) {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) factor[i] = 1.0f;
    store_lane_rows<kDim>(acc2, factor, head_row(args.out2, args.pitch2, at, sides.rows, row0, in.dim),
                          args.pitch2, sides.rows - row0, in.dim, in.vector, padding_of(in, at, args.pitch2),
                          lane);
  }
}

}  // namespace

void launch_backward_pass(CudaStream& stream, const BackwardInput<float>& args, std::int64_t batch,
                          bool for_keys) {
  const int rows = for_keys ? args.in.keys : args.in.queries, threads = attention_threads(rows);
  with_pass(args.in.dim, for_keys, [&](auto head_tile, auto pass) {
    constexpr int kDim = decltype(head_tile)::value;
    launch(stream, "attention_backward_f32_kernel",
           attention_backward_f32_kernel<kDim, decltype(pass)::value>, backward_grid(args.in, batch, rows),
           threads, backward_f32_shared_bytes<kDim>(threads / 2), args);
  });
}

}  // namespace mg::cuda
