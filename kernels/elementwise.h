// Element-by-element operations on rows of channels, any pitch. An output may be one of its inputs, never
// overlap one in part.
#pragma once

#include "kernels/epilogue.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

// y = a + b, all of one shape.
struct AddForward {
  View y;
  ConstView a, b;
};

// y = factor * x. y may have another pitch and element type: with factor 1 this is the cast and the
// repacking.
struct ScaleForward {
  View y;
  ConstView x;
  float factor;
};

// y = x * factor[c], or x * factor[0] with one factor for all channels. The backward pass is the same with dy
// for x, and the factor's gradient is the sum of dy * x over all that it multiplied.
struct ScaleChannelsForward {
  View y;
  ConstView x;
  const float* factor;
  bool one_factor = false;
};
struct ScaleChannelsBackwardFactor {
  float* dfactor;
  ConstView dy, x;
  bool one_factor = false;
};

struct ActivationForward {
  View y;
  ConstView x;
  Activation activation;
};
struct ActivationBackward {
  View dx;
  ConstView dy, x;  // x: the activation's input
  Activation activation;
};

// y = x / (1 - p) where the mask keeps it, else 0. The gradient is the same operation on dy.
struct Dropout {
  View y;
  ConstView x;
  DropoutMask mask;
};

void add_forward(const AddForward&, CpuStream&);
void add_forward(const AddForward&, CudaStream&);
void scale_forward(const ScaleForward&, CpuStream&);
void scale_forward(const ScaleForward&, CudaStream&);
void scale_channels_forward(const ScaleChannelsForward&, CpuStream&);
void scale_channels_forward(const ScaleChannelsForward&, CudaStream&);
void scale_channels_backward_factor(const ScaleChannelsBackwardFactor&, CpuStream&);
void scale_channels_backward_factor(const ScaleChannelsBackwardFactor&, CudaStream&);
void activation_forward(const ActivationForward&, CpuStream&);
void activation_forward(const ActivationForward&, CudaStream&);
void activation_backward(const ActivationBackward&, CpuStream&);
void activation_backward(const ActivationBackward&, CudaStream&);
void dropout(const Dropout&, CpuStream&);
void dropout(const Dropout&, CudaStream&);

}  // namespace mg
