// Batch normalisation over rows of channels (Ioffe and Szegedy, ICML 2015), with the ReLU and residual that
// follow it in a ResNet: y = relu?(weight[c] * (x - mean[c]) / sqrt(variance[c] + eps) + bias[c] + residual).
// Vectors are [C], fp32.
#pragma once

#include "kernels/epilogue.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

// The batch's mean and biased variance of the values as stored.
struct BatchNormStatistics {
  ConstView x;
  BatchStatistics statistics;
};

struct BatchNormForward {
  View y;
  ConstView x;
  const float *mean, *variance, *weight, *bias;
  float eps;
  ConstView residual;  // optional
  bool relu = false;
};

struct BatchNormBackward {
  View dx, dresidual;      // each optional
  float *dweight, *dbias;  // both or neither
  ConstView dy, x;
  ConstView y;  // the output, for the ReLU's mask; empty without ReLU
  const float *mean, *variance, *weight;
  float eps;
  bool batch_statistics;  // whether mean and variance depend on x
};

void batch_norm_statistics(const BatchNormStatistics&, CpuStream&);
void batch_norm_statistics(const BatchNormStatistics&, CudaStream&);
void batch_norm_forward(const BatchNormForward&, CpuStream&);
void batch_norm_forward(const BatchNormForward&, CudaStream&);
void batch_norm_backward(const BatchNormBackward&, CpuStream&);
void batch_norm_backward(const BatchNormBackward&, CudaStream&);

}  // namespace mg
