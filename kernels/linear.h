// Linear layer: y[r,k] = sum over c of x[r,c] * w[k,c] + bias[k], then the epilogue. Rows are all leading
// dimensions together. w and dw are dense [K, C] (PyTorch's nn.Linear); x, y and their gradients have any
// pitch.
#pragma once

#include "kernels/epilogue.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct LinearForward {
  View y;       // [..., K]
  ConstView x;  // [..., C]
  ConstView w;  // [K, C]
  Epilogue epilogue;
  View pre_activation;  // optional, like y: the result plus bias before the activation, for the backward pass
};

struct LinearBackwardData {
  View dx;       // [..., C], written whole
  ConstView dy;  // [..., K], gradient of the pre-activation
  ConstView w;
};

struct LinearBackwardWeight {
  View dw;      // [K, C], fp32, written whole
  View dbias;   // optional [K], fp32, written whole
  ConstView x;  // [..., C]
  ConstView dy;
};

void linear_forward(const LinearForward&, CpuStream&);
void linear_forward(const LinearForward&, CudaStream&);
void linear_backward_data(const LinearBackwardData&, CpuStream&);
void linear_backward_data(const LinearBackwardData&, CudaStream&);
void linear_backward_weight(const LinearBackwardWeight&, CpuStream&);
void linear_backward_weight(const LinearBackwardWeight&, CudaStream&);

}  // namespace mg
