// Layer normalisation (Ba, Kiros and Hinton 2016): y = weight[c] * (x - mean(row)) / sqrt(variance(row) +
// eps) + bias[c]; and L2 normalisation of rows: y = x / max(||x||, eps).
#pragma once

#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct LayerNormForward {
  View y;
  ConstView x;
  const float *weight, *bias;  // [C]
  float eps;
  float *mean, *inverse_std;  // [rows], written for the backward pass
};
struct LayerNormBackward {
  View dx;
  float *dweight, *dbias;
  ConstView dy, x;
  const float *weight, *mean, *inverse_std;
};

struct L2NormalizeForward {
  View y;
  ConstView x;
  float eps;
};
struct L2NormalizeBackward {
  View dx;
  ConstView dy, x;
  float eps;
};

void layer_norm_forward(const LayerNormForward&, CpuStream&);
void layer_norm_forward(const LayerNormForward&, CudaStream&);
void layer_norm_backward(const LayerNormBackward&, CpuStream&);
void layer_norm_backward(const LayerNormBackward&, CudaStream&);
void l2_normalize_forward(const L2NormalizeForward&, CpuStream&);
void l2_normalize_forward(const L2NormalizeForward&, CudaStream&);
void l2_normalize_backward(const L2NormalizeBackward&, CpuStream&);
void l2_normalize_backward(const L2NormalizeBackward&, CudaStream&);

}  // namespace mg
