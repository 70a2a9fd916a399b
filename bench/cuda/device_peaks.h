// What a CUDA device can do at most, as kernels of registers alone and copies find it.
#pragma once

#include "kernels/cuda_stream.h"

namespace mg {

struct DevicePeaks {
  double fp32_gflops = 0, bf16_gflops = 0, tf32_gflops = 0;  // multiply-adds; mma.sync of bf16 and of tf32
  double copy_gbytes = 0;                                    // read and written bytes together
};
// quick: a few microseconds each, to see that it runs.
DevicePeaks measure_device_peaks(CudaStream& stream, bool quick);

}  // namespace mg
