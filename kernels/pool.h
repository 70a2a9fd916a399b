// Global average pooling: y[n, c] = mean over the positions of sample n.
#pragma once

#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

struct GlobalAveragePoolForward {
  View y;       // [N, C]
  ConstView x;  // [N, ..., C]
};
struct GlobalAveragePoolBackward {
  View dx;       // [N, ..., C]
  ConstView dy;  // [N, C]
};

void global_average_pool_forward(const GlobalAveragePoolForward&, CpuStream&);
void global_average_pool_forward(const GlobalAveragePoolForward&, CudaStream&);
void global_average_pool_backward(const GlobalAveragePoolBackward&, CpuStream&);
void global_average_pool_backward(const GlobalAveragePoolBackward&, CudaStream&);

}  // namespace mg
