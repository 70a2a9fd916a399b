// AdamW (Loshchilov and Hutter, ICLR 2019) in PyTorch's order of operations, over all tensors of a model,
// with clipping by the global norm (Pascanu et al. 2013). Dense fp32 arrays.
#pragma once

#include <span>

#include "kernels/stream.h"

namespace mg {

struct AdamWTensor {
  float *weight, *first_moment, *second_moment;
  const float* grad;
  std::int64_t* steps;  // taken before this one; becomes one more
  std::int64_t count;
  double lr, weight_decay;
};

// What a step found. skipped: the norm was not finite, and nothing was changed.
struct AdamWOutcome {
  double gradient_norm;
  std::int64_t skipped;
};

// w -= lr * weight_decay * w; m, v updated; w -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + eps),
// with t = *steps + 1. Gradients are first multiplied by max_norm / (norm + 1e-6) when their norm is above
// it.
struct AdamWStep {
  AdamWOutcome* outcome;  // in the stream's memory, like what the tensors point to
  std::span<const AdamWTensor> tensors;
  double beta1, beta2, eps;  // double: 1 - 0.999f is wrong in the fifth digit
  double max_norm = 0;       // 0: no clipping
};

void adamw_step(const AdamWStep&, CpuStream&);
void adamw_step(const AdamWStep&, CudaStream&);

}  // namespace mg
