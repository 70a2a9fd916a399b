// Element-by-element operations on rows of channels, any pitch. An output may be one of its inputs, never
// overlap one in part.
#pragma once

#include "kernels/epilogue.h"
#include "kernels/philox.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

// y = a + b, all of one shape.
struct AddForward {
  View y;
  ConstView a, b;
};

// y = factor * x.
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

// y = x / (1 - p) where kept, else 0. Row r belongs to sample sample_offset + r / rows_per_sample; element e
// of a sample (in dense order) is kept when lane e % 4 of draw(sample, e / 4) is at least p as uniform01. The
// gradient is the same operation on dy.
struct Dropout {
  View y;
  ConstView x;
  float p;
  RandomKey key;
  std::uint32_t sample_offset;
  std::int64_t rows_per_sample;
};

void add_forward(const AddForward&, CpuStream&);
void scale_forward(const ScaleForward&, CpuStream&);
void scale_channels_forward(const ScaleChannelsForward&, CpuStream&);
void scale_channels_backward_factor(const ScaleChannelsBackwardFactor&, CpuStream&);
void activation_forward(const ActivationForward&, CpuStream&);
void activation_backward(const ActivationBackward&, CpuStream&);
void dropout(const Dropout&, CpuStream&);

}  // namespace mg
