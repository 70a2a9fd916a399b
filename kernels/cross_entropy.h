// Cross-entropy with soft targets: loss = mean over rows of -sum_k target_k (logit_k - log sum exp(logits)).
#pragma once

#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct CrossEntropyForward {
  float* loss;
  ConstView logits, targets;  // [R, K]
  float* row_lse;             // [R], log-sum-exp of each row, written for the backward pass
};
struct CrossEntropyBackward {
  View dlogits;
  ConstView logits, targets;
  const float* row_lse;
  const float* dloss;
};

void cross_entropy_forward(const CrossEntropyForward&, CpuStream&);
void cross_entropy_forward(const CrossEntropyForward&, CudaStream&);
void cross_entropy_backward(const CrossEntropyBackward&, CpuStream&);
void cross_entropy_backward(const CrossEntropyBackward&, CudaStream&);

}  // namespace mg
