// 3D convolution, channels-last: y[n,t,h,w,k] = sum over taps and c of x[n, t*st+i-pt, h*sh+j-ph, w*sw+l-pw,
// c] * w[k,c,i,j,l]. The spatial (1,k,k), temporal (k,1,1), strided and 1x1x1 cases of R(2+1)D (Tran et al.,
// CVPR 2018) are all this one operation. Activations are N T H W C at any pitch; w and dw are dense in
// PyTorch's layout [K, C, kt, kh, kw].
#pragma once

#include <array>

#include "kernels/epilogue.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct Conv3dGeometry {
  std::array<int, 3> kernel{1, 1, 1};  // t, h, w
  std::array<int, 3> stride{1, 1, 1};
  std::array<int, 3> padding{0, 0, 0};

  // The output extent along axis i (0 = t, 1 = h, 2 = w) of an input extent.
  constexpr std::int64_t output_extent(int i, std::int64_t input) const {
    const auto a = static_cast<std::size_t>(i);
    return (input + 2 * padding[a] - kernel[a]) / stride[a] + 1;
  }
};

struct Conv3dForward {
  View y;       // [N, To, Ho, Wo, K]
  ConstView x;  // [N, T, H, W, C]
  ConstView w;  // [K, C, kt, kh, kw]
  Conv3dGeometry geometry;
  InputTransform input;  // applied to x while it is read; padding stays zero
  Epilogue epilogue;
  // Of y as stored, for the BatchNorm that follows: what batch_norm_statistics would find.
  BatchStatistics statistics = {};
};

// dx = the gradient of the input, written whole (not accumulated).
struct Conv3dBackwardData {
  View dx;       // [N, T, H, W, C]
  ConstView dy;  // [N, To, Ho, Wo, K]
  ConstView w;
  Conv3dGeometry geometry;
};

// dw = the gradient of the weights, written whole (not accumulated).
struct Conv3dBackwardWeight {
  View dw;       // [K, C, kt, kh, kw], fp32
  ConstView x;   // [N, T, H, W, C]
  ConstView dy;  // [N, To, Ho, Wo, K]
  Conv3dGeometry geometry;
};

void conv3d_forward(const Conv3dForward&, CpuStream&);
void conv3d_forward(const Conv3dForward&, CudaStream&);
void conv3d_backward_data(const Conv3dBackwardData&, CpuStream&);
void conv3d_backward_data(const Conv3dBackwardData&, CudaStream&);
void conv3d_backward_weight(const Conv3dBackwardWeight&, CpuStream&);
void conv3d_backward_weight(const Conv3dBackwardWeight&, CudaStream&);

}  // namespace mg
