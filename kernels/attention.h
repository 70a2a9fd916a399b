// Fused scaled dot-product attention of several heads (Vaswani et al. 2017): for each sample and head,
// softmax(scale q k^T) v over the keys that are not padding, with dropout of the weights inside. Nothing of
// size Lq x Lk is stored: the backward pass recomputes the weights from each row's log-sum-exp. Channels of
// head h are [h * D, (h + 1) * D).
#pragma once

#include "kernels/philox.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct AttentionProblem {
  ConstView q;  // [B, Lq, H * D]
  ConstView k;  // [B, Lk, H * D]
  ConstView v;
  int heads;
  float scale;
  const std::int32_t* key_lengths = nullptr;  // [B], each in [1, Lk]; null: Lk
  // Weight (head, query, key) of sample b is kept when its draw is at least p: element (h * Lq + query) * Lk
  // + key of sample sample_offset + b, as in Dropout. The rest are scaled by 1 / (1 - p).
  float dropout = 0;
  RandomKey key;
  std::uint32_t sample_offset = 0;
};

struct AttentionForward {
  AttentionProblem problem;
  View y;      // [B, Lq, H * D]
  float* lse;  // [B, H, Lq], written for the backward pass
};
struct AttentionBackward {
  AttentionProblem problem;
  View dq, dk, dv;  // written whole; padding keys get zero
  ConstView dy, y;
  const float* lse;
};

void attention_forward(const AttentionForward&, CpuStream&);
void attention_forward(const AttentionForward&, CudaStream&);
void attention_backward(const AttentionBackward&, CpuStream&);
void attention_backward(const AttentionBackward&, CudaStream&);

}  // namespace mg
