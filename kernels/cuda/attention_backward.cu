// Fused attention, backward (Dao et al. 2022): with P = softmax(scale q k^T) recomputed from the
// log-sum-exps, M dropout's factors and D_i = dy_i . y_i,
//   dv = (P M)^T dy, dS = P (M (dy v^T) - D), dq = scale dS k, dk = scale dS^T q.
// No atomics: one pass whose blocks own keys gives dk and dv, another whose blocks own queries gives dq, and
// each recomputes dS. Both are one kernel: "own" rows stay, the "other" side passes by in blocks.
//   pass      own 1, own 2   other 1, other 2   result 1 += dS other 1   result 2 += (P M) other 2
//   keys      k, v           q, dy              dk                       dv
//   queries   q, dy          k, v               dq                       -
#include "kernels/cuda/attention_backward.cuh"

namespace mg {

namespace cuda {
namespace {

// dot[b, h, i] = dy . y over the channels of head h of query i. Threads: 8 lanes a query and head, queries
// fastest; y, dy: [B, Lq, H * D].
template <class Elem>
__global__ void __launch_bounds__(256)
    attention_backward_dot_kernel(const Elem* y, std::int64_t y_pitch, const Elem* dy, std::int64_t dy_pitch,
                                  std::int64_t items, int queries, int heads, int dim, bool vector,
                                  float* dot) {
  constexpr int kEach = 16 / sizeof(Elem);
  const std::int64_t item = (static_cast<std::int64_t>(blockIdx.x) * 256 + threadIdx.x) / 8;
  const std::int64_t mine =
      min(item, items - 1);  // the last block's idle lanes compute what they do not write
  const std::int64_t head = mine / queries, row = head / heads * queries + mine % queries;
  const int h = static_cast<int>(head % heads), lane = static_cast<int>(threadIdx.x) % 8;
  const Elem *a = y + row * y_pitch + h * dim, *b = dy + row * dy_pitch + h * dim;
  float sum = 0;
  if (vector) {
    for (int c = lane * kEach; c < dim; c += 8 * kEach) {
      float x[kEach], z[kEach];
      load<kEach>(x, a + c);
      load<kEach>(z, b + c);
#pragma unroll
      for (int e = 0; e < kEach; ++e) sum = fmaf(x[e], z[e], sum);
    }
  } else {
    for (int c = lane; c < dim; c += 8) sum = fmaf(to_f32(a[c]), to_f32(b[c]), sum);
  }
#pragma unroll
  for (int d = 4; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
  if (lane == 0 && item < items) dot[item] = sum;
}

// The registers do not hold two results and two own operands of many channels: own 2 is read again and again,
// from a tile of its own. With 128 channels the other tiles are smaller for it, so that two blocks fit a
// multiprocessor.
template <int kDim, bool kForKeys>
inline constexpr bool kRereads = kDim >= 64 && kForKeys;
// Other rows of a block in bf16.
template <int kDim, bool kForKeys>
inline constexpr int kBlock = kDim == 128 && kForKeys ? 32 : 64;

// 2 stages of the two other tiles, [2][2][tile_rows][kDim] (own rows pass through the second stage, 2 *
// tile_rows of them where own 2 has a tile), own 2 where it is reread, [own_rows][kDim], then [2][2][64]
// log-sum-exps and dots.
template <int kDim, bool kForKeys>
std::size_t backward_shared_bytes(int tile_rows, int own_rows) {
  const int rows = 4 * tile_rows + (kRereads<kDim, kForKeys> ? own_rows : 0);
  return static_cast<std::size_t>(rows) * kTilePitch<kDim, BF16> * sizeof(BF16) + 4 * 64 * sizeof(float);
}

// One 16 x 16 piece of a warp: from scores and dweights (dy v^T), the weights with dropout and the gradients
// of the scores over scale, as first operands.
template <bool kForKeys>
struct Piece {
  float s[2][4] = {}, dp[2][4] = {};

  // Element e of half n is row g + 8 (e / 2), column 8 n + 2 q + e % 2; lse and dot of the query each; kept:
  // bit column (or, of keys, row) of word_of; valid_rows, valid_columns count from the piece's first.
  __device__ __forceinline__ void to_gradients(float scale, const float (&lse)[4], const float (&dot)[4],
                                               int valid_rows, int valid_columns, bool dropout,
                                               const std::uint32_t (&kept)[4], float keep, int lane) {
#pragma unroll
    for (int n = 0; n < 2; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = lane / 4 + e / 2 * 8, column = n * 8 + lane % 4 * 2 + e % 2;
        const int query = kForKeys ? n * 2 + e % 2 : e / 2;  // which of this lane's queries
        float weight = __expf(fmaf(s[n][e], scale, -lse[query]));
        weight = row < valid_rows && column < valid_columns ? weight : 0.0f;
        float dropped = weight;
        if (dropout) dropped = kept[query] >> (kForKeys ? row : column) & 1 ? weight * keep : 0.0f;
        dp[n][e] = dropped * dp[n][e] - weight * dot[query];
        s[n][e] = dropped;
      }
    }
  }
};

// Threads: 32 for each 16 own rows. A warp takes the other rows 16 at a time; own rows stay in registers as
// operands.
template <int kDim, bool kForKeys>
__global__ void __launch_bounds__(128, kDim == 128 ? 2 : 3)
    attention_backward_kernel(const __grid_constant__ BackwardInput<BF16> args, int tile_rows) {
  constexpr bool kReread = kRereads<kDim, kForKeys>;
  constexpr int kRows = kBlock<kDim, kForKeys>;
  extern __shared__ __align__(16) unsigned char shared[];
  const AttentionInput<BF16>& in = args.in;
  const AttentionBlock at(in, kForKeys ? in.keys : in.queries);
  const Sides<kForKeys, BF16> sides(args, at);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int row0 = at.row0 + warp * 16, tile = tile_rows * kTilePitch<kDim, BF16>;
  const std::int64_t of_queries = (static_cast<std::int64_t>(at.b) * in.heads + at.h) * in.queries;
  const int own_count = static_cast<int>(blockDim.x) / 2;
  auto other_of = [&](int stage) { return reinterpret_cast<BF16*>(shared) + 2 * stage * tile; };
  BF16* own2_tile = kReread ? other_of(2) : other_of(1) + tile;
  auto* statistics =
      reinterpret_cast<float*>(other_of(2) + (kReread ? own_count * kTilePitch<kDim, BF16> : 0));
  auto load_block = [&](int block) {
    const int first = block * kRows, left = min(kRows, sides.other - first), count = ceil_div(left, 16) * 16;
    BF16* other = other_of(block & 1);
    load_rows<kDim>(other, count, sides.other1 + first * sides.other1_pitch, sides.other1_pitch, left, in.dim,
                    in.vector);
    load_rows<kDim>(other + tile, count, sides.other2 + first * sides.other2_pitch, sides.other2_pitch, left,
                    in.dim, in.vector);
    if (!kForKeys) return;
    float* lse = statistics + (block & 1) * 128;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      const std::int64_t query =
          of_queries + (i < left ? first + i : 0);  // behind the end zeros, as dy is there
      copy_async<4>(shared_address(lse + i), args.lse + query, i < left);
      copy_async<4>(shared_address(lse + 64 + i), args.dot + query, i < left);
    }
  };
  const int blocks = sides.blocks(at.row0, kRows);
  load_rows<kDim>(other_of(1), own_count, sides.own1 + at.row0 * sides.own1_pitch, sides.own1_pitch,
                  sides.own - at.row0, in.dim, in.vector);
  load_rows<kDim>(own2_tile, own_count, sides.own2 + at.row0 * sides.own2_pitch, sides.own2_pitch,
                  sides.own - at.row0, in.dim, in.vector);
  if (blocks > 0) load_block(0);
  commit_copies();
  wait_copies<0>();
  __syncthreads();
  std::uint32_t own1[kDim / 16][4], own2[kReread ? 1 : kDim / 16][4];
  const std::uint32_t along_own2 = lane_along<kDim>(own2_tile, lane) + tile_offset<kDim>(warp * 16, 0);
#pragma unroll
  for (int d = 0; d < kDim / 16; ++d) {
    load_a(own1[d], lane_along<kDim>(other_of(1), lane) + tile_offset<kDim>(warp * 16, d * 16));
    if constexpr (!kReread) load_a(own2[d], along_own2 + tile_offset<kDim>(0, d * 16));
  }
  __syncthreads();  // the second stage is free

  float acc1[kDim / 8][4] = {}, acc2[kForKeys ? kDim / 8 : 1][4] = {};
  float lse[4] = {}, dot[4] = {};
  if (!kForKeys) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = row0 + lane / 4 + half * 8;
      if (row < sides.own) lse[half] = args.lse[of_queries + row], dot[half] = args.dot[of_queries + row];
    }
  }
  const float keep = 1.0f / (1.0f - in.dropout);
#pragma unroll 1
  for (int block = 0; block < blocks; ++block) {
    if (block + 1 < blocks) load_block(block + 1);
    commit_copies();
    wait_copies<1>();
    __syncthreads();  // this block's rows have landed for every thread
    const BF16 *other1 = other_of(block & 1), *other2 = other1 + tile;
    const std::uint32_t across1 = lane_across<kDim>(other1, lane), across2 = lane_across<kDim>(other2, lane);
    const std::uint32_t along1 = lane_along<kDim>(other1, lane), along2 = lane_along<kDim>(other2, lane);
    const float* columns = statistics + (block & 1) * 128;
    const int left = min(kRows, sides.other - block * kRows);
#pragma unroll 1
    for (int c = 0; c < left; c += 16) {
      const int first = block * kRows + c;
      std::uint32_t bits =
          0;  // before the products: Philox and their results would not fit the registers together
      if (in.dropout > 0) bits = keep_chunk(in, at, kForKeys ? first : row0, kForKeys ? row0 : first, lane);
      Piece<kForKeys> piece;
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        std::uint32_t b[2][2];
        load_b(b, across1 + tile_offset<kDim>(c, d * 16));
        mma_bf16(piece.s[0], own1[d], b[0]);
        mma_bf16(piece.s[1], own1[d], b[1]);
        load_b(b, across2 + tile_offset<kDim>(c, d * 16));
        if constexpr (kReread) load_a(own2[0], along_own2 + tile_offset<kDim>(0, d * 16));
        mma_bf16(piece.dp[0], own2[kReread ? 0 : d], b[0]);
        mma_bf16(piece.dp[1], own2[kReread ? 0 : d], b[1]);
      }
      if (kForKeys) {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const int column = c + n / 2 * 8 + lane % 4 * 2 + n % 2;
          lse[n] = columns[column], dot[n] = columns[64 + column];
        }
      }
      std::uint32_t kept[4] = {};
      if (in.dropout > 0) {
#pragma unroll
        for (int n = 0; n < (kForKeys ? 4 : 2); ++n) {
          const int query = kForKeys ? n / 2 * 8 + lane % 4 * 2 + n % 2 : lane / 4 + n * 8;
          kept[n] = __shfl_sync(0xffffffffu, bits, query * 2);
        }
      }
      piece.to_gradients(in.scale, lse, dot, sides.own - row0, left - c, in.dropout > 0, kept, keep, lane);
      std::uint32_t a1[4], a2[4];
      as_a(a1, piece.dp[0], piece.dp[1]);
      as_a(a2, piece.s[0], piece.s[1]);
#pragma unroll
      for (int d = 0; d < kDim / 16; ++d) {
        std::uint32_t b[2][2];
        load_b_trans(b, along1 + tile_offset<kDim>(c, d * 16));
        mma_bf16(acc1[2 * d], a1, b[0]);
        mma_bf16(acc1[2 * d + 1], a1, b[1]);
        if constexpr (kForKeys) {
          load_b_trans(b, along2 + tile_offset<kDim>(c, d * 16));
          mma_bf16(acc2[2 * d], a2, b[0]);
          mma_bf16(acc2[2 * d + 1], a2, b[1]);
        }
      }
    }
    __syncthreads();  // all are done with this stage, which is filled next
  }

  const int mine = warp * 16 * kTilePitch<kDim, BF16>;  // rows of tiles that nobody else uses any more
  store_warp_rows<kDim>(acc1, {in.scale, in.scale}, other_of(0) + mine,
                        head_row(args.out1, args.pitch1, at, sides.rows, row0, in.dim), args.pitch1,
                        sides.rows - row0, in.dim, in.vector, padding_of(in, at, args.pitch1), lane);
  if constexpr (kForKeys) {
    store_warp_rows<kDim>(acc2, {1.0f, 1.0f}, (kReread ? own2_tile : other_of(0) + tile) + mine,
                          head_row(args.out2, args.pitch2, at, sides.rows, row0, in.dim), args.pitch2,
                          sides.rows - row0, in.dim, in.vector, padding_of(in, at, args.pitch2), lane);
  }
}

}  // namespace

void launch_backward_pass(CudaStream& stream, const BackwardInput<BF16>& args, std::int64_t batch,
                          bool for_keys) {
  const int rows = for_keys ? args.in.keys : args.in.queries, most = std::max(args.in.queries, args.in.keys);
  const int threads = attention_threads(rows);
  with_pass(args.in.dim, for_keys, [&](auto head_tile, auto pass) {
    constexpr int kDim = decltype(head_tile)::value;
    constexpr bool kForKeys = decltype(pass)::value;
    const int tile_rows = std::min(kBlock<kDim, kForKeys>, ceil_div(most, 16) * 16);
    launch(stream, "attention_backward_kernel", attention_backward_kernel<kDim, kForKeys>,
           backward_grid(args.in, batch, rows), threads,
           backward_shared_bytes<kDim, kForKeys>(tile_rows, threads / 2), args, tile_rows);
  });
}

}  // namespace cuda

void attention_backward(const AttentionBackward& args, CudaStream& stream) {
  using namespace cuda;
  const AttentionProblem& p = args.problem;
  const std::int64_t batch = p.q.shape[0], queries = p.q.shape[1];
  const std::int64_t dim = p.q.channels() / p.heads;
  auto* dot = static_cast<float*>(
      stream.workspace(0, static_cast<std::size_t>(batch * p.heads * queries) * sizeof(float)));
  with_elem(p.q.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    BackwardInput<Elem> input{attention_input<Elem>(p), data<Elem>(args.dy), args.dy.pitch, args.lse,     dot,
                              data<Elem>(args.dk),      data<Elem>(args.dv), args.dk.pitch, args.dv.pitch};
    for (const ConstView& view :
         {args.dy, args.y, ConstView(args.dq), ConstView(args.dk), ConstView(args.dv)}) {
      input.in.vector = input.in.vector && has_vectors(view, dim);
    }
    launch(stream, "attention_backward_dot_kernel", attention_backward_dot_kernel<Elem>,
           dim3(static_cast<unsigned>(ceil_div(batch * queries * p.heads, 32))), 256, 0, data<Elem>(args.y),
           args.y.pitch, input.dy, input.dy_pitch, batch * queries * p.heads, input.in.queries, p.heads,
           input.in.dim, input.in.vector, dot);
    launch_backward_pass(stream, input, batch, true);
    input.out1 = data<Elem>(args.dq), input.pitch1 = args.dq.pitch;
    input.out2 = nullptr, input.pitch2 = 0;
    launch_backward_pass(stream, input, batch, false);
  });
}

}  // namespace mg
