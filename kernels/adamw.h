// AdamW (Loshchilov and Hutter, ICLR 2019) in PyTorch's order of operations, and the reductions around it.
// Dense fp32 arrays.
#pragma once

#include "kernels/stream.h"

namespace mg {

// w -= lr * weight_decay * w; m, v updated; w -= lr / (1 - beta1^step) * m / (sqrt(v / (1 - beta2^step)) +
// eps). The gradient is first multiplied by grad_scale (clipping).
struct AdamWStep {
  float *weight, *first_moment, *second_moment;
  const float* grad;
  std::int64_t count;
  double lr, beta1, beta2, eps, weight_decay;  // double: 1 - 0.999f is wrong in the fifth digit
  std::int64_t step;                           // 1 in the first step
  float grad_scale = 1;
};

// *sum += sum of squares of x, in a fixed order, in double.
struct SumOfSquares {
  double* sum;
  const float* x;
  std::int64_t count;
};

void adamw_step(const AdamWStep&, CpuStream&);
void sum_of_squares(const SumOfSquares&, CpuStream&);

}  // namespace mg
