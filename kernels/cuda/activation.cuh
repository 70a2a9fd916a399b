// Activations and their slopes, as kernels/epilogue.h names them.
#pragma once

#include "kernels/epilogue.h"

namespace mg::cuda {

// max(x, 0); NaN stays NaN (fmaxf would drop it), so that a network that diverged is seen to have.
__device__ __forceinline__ float relu(float x) { return x < 0.0f ? 0.0f : x; }

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

__device__ __forceinline__ float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::relu:
      return relu(x);
    case Activation::gelu:
      return 0.5f * x * (1.0f + erff(x * 0.707106781f));
    case Activation::quick_gelu:
      return x * sigmoid(1.702f * x);
    case Activation::none:
      break;
  }
  return x;
}

__device__ __forceinline__ float activation_slope(Activation activation, float x) {
  switch (activation) {
    case Activation::relu:
      return x <= 0.0f ? 0.0f : 1.0f;  // 1 for NaN
    case Activation::gelu:
      return 0.5f * (1.0f + erff(x * 0.707106781f)) + x * 0.398942280f * expf(-0.5f * x * x);
    case Activation::quick_gelu: {
      const float s = sigmoid(1.702f * x);
      return s + 1.702f * x * s * (1.0f - s);
    }
    case Activation::none:
      break;
  }
  return 1.0f;
}

}  // namespace mg::cuda
