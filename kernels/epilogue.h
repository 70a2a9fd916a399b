// What a matrix-shaped kernel (convolution, linear) can do to its operands on the way in and out.
#pragma once

#include <cmath>

#include "kernels/philox.h"
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

// Which elements survive: element e of a sample (in dense order) is kept when lane e % 4 of draw(sample, e /
// 4) is at least p as uniform01; the rest become 0, the kept are divided by 1 - p. Row r belongs to sample
// sample_offset + r / rows_per_sample.
struct DropoutMask {
  float p = 0;
  RandomKey key;
  std::uint32_t sample_offset = 0;
  std::int64_t rows_per_sample = 1;
};

// y = relu?(dropout(activation(result + bias[k])) + residual). Each part is off when null, none, 0 or false:
// a Transformer's sub-layer has bias, dropout and residual; a folded BatchNorm bias, residual and ReLU.
struct Epilogue {
  const float* bias = nullptr;
  Activation activation = Activation::none;
  DropoutMask dropout = {};
  ConstView residual = {};  // shaped like the output
  bool relu = false;        // of the sum
};

// Where statistics of a batch go, [C] each, and the running ones (null: none): new = (1 - momentum) * old +
// momentum * batch, the variance unbiased (PyTorch). With one row the running variance takes the biased one.
// All empty: no statistics are wanted.
struct BatchStatistics {
  float* mean = nullptr;
  float* variance = nullptr;  // biased
  float* running_mean = nullptr;
  float* running_variance = nullptr;
  float momentum = 0.1f;
};

// Puts a batch's mean and unbiased variance of channel c into the running ones, unless a result is not
// finite: then both stay. The step of such a batch is skipped, and must leave nothing behind for later steps
// and evaluations.
MG_HOST_DEVICE inline void update_running(const BatchStatistics& s, std::int64_t c, double mean,
                                          double variance) {
  const auto momentum = static_cast<double>(s.momentum);
  const auto next_mean =
      static_cast<float>((1 - momentum) * static_cast<double>(s.running_mean[c]) + momentum * mean);
  const auto next_variance =
      static_cast<float>((1 - momentum) * static_cast<double>(s.running_variance[c]) + momentum * variance);
  if (!std::isfinite(next_mean) || !std::isfinite(next_variance)) return;
  s.running_mean[c] = next_mean;
  s.running_variance[c] = next_variance;
}

}  // namespace mg
