// What a matrix-shaped kernel (convolution, linear) can do to its operands on the way in and out.
#pragma once

#include "kernels/view.h"

namespace mg {

enum class Activation : std::uint8_t {
  none,
  relu,
  gelu,        // x * Phi(x), exact by erf (Hendrycks and Gimpel 2016)
  quick_gelu,  // x * sigmoid(1.702 x), as in CLIP
};

// x' = scale[c] * x + shift[c], then ReLU if asked: a BatchNorm folded into the reader. Off when scale is
// null.
struct InputTransform {
  const float* scale = nullptr;
  const float* shift = nullptr;
  bool relu = false;
};

// y = activation(result + bias[k]) + residual. Each part is off when null or none.
struct Epilogue {
  const float* bias = nullptr;
  Activation activation = Activation::none;
  ConstView residual;  // shaped like the output
};

}  // namespace mg
