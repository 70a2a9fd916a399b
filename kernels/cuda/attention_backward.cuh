// What the two kernels of attention's backward pass share, bf16 in attention_backward.cu (which says what
// they compute) and fp32 in attention_backward_f32.cu: their input and the two sides of a pass.
#pragma once

#include "kernels/cuda/attention.cuh"

namespace mg::cuda {

template <class Elem>
struct BackwardInput {
  AttentionInput<Elem> in;
  const Elem* dy;
  std::int64_t dy_pitch;
  const float *lse, *dot;  // [B, H, Lq]: log-sum-exps, dy . y
  Elem *out1, *out2;
  std::int64_t pitch1, pitch2;
};

// The two sides of a pass, with the rows of each tensor that this block's sample and head has.
template <bool kForKeys, class Elem>
struct Sides {
  const Elem *own1, *own2, *other1, *other2;  // row 0
  std::int64_t own1_pitch, own2_pitch, other1_pitch, other2_pitch;
  int rows, own, other;  // own rows in memory, and what counts of own and other rows

  __device__ __forceinline__ Sides(const BackwardInput<Elem>& args, const AttentionBlock& at) {
    const AttentionInput<Elem>& in = args.in;
    const Elem* q = head_row(in.q, in.q_pitch, at, in.queries, 0, in.dim);
    const Elem* k = head_row(in.k, in.k_pitch, at, in.keys, 0, in.dim);
    const Elem* v = head_row(in.v, in.v_pitch, at, in.keys, 0, in.dim);
    const Elem* dy = head_row(args.dy, args.dy_pitch, at, in.queries, 0, in.dim);
    own1 = kForKeys ? k : q, own1_pitch = kForKeys ? in.k_pitch : in.q_pitch;
    own2 = kForKeys ? v : dy, own2_pitch = kForKeys ? in.v_pitch : args.dy_pitch;
    other1 = kForKeys ? q : k, other1_pitch = kForKeys ? in.q_pitch : in.k_pitch;
    other2 = kForKeys ? dy : v, other2_pitch = kForKeys ? args.dy_pitch : in.v_pitch;
    rows = kForKeys ? in.keys : in.queries;
    own = kForKeys ? at.keys : in.queries;
    other = kForKeys ? in.queries : at.keys;
  }
  // Blocks of other rows: none for a block of padding keys, whose gradients stay zero.
  __device__ __forceinline__ int blocks(int row0, int other_rows) const {
    return row0 < own ? ceil_div(other, other_rows) : 0;
  }
};

// Calls f with the head size and with whether the pass is for keys, as constants.
template <class F>
void with_pass(std::int64_t dim, bool for_keys, F&& f) {
  with_head_tile(dim, [&](auto head_tile) {
    for_keys ? f(head_tile, std::true_type{}) : f(head_tile, std::false_type{});
  });
}
template <class Elem>
dim3 backward_grid(const AttentionInput<Elem>& in, std::int64_t batch, int rows) {
  return dim3(static_cast<unsigned>(batch * in.heads * ceil_div(rows, kAttentionRows)));
}

// One pass: dk and dv, or dq.
void launch_backward_pass(CudaStream&, const BackwardInput<BF16>&, std::int64_t batch, bool for_keys);
void launch_backward_pass(CudaStream&, const BackwardInput<float>&, std::int64_t batch, bool for_keys);

}  // namespace mg::cuda
