// Time as the device sees it.
#pragma once

#include <functional>
#include <vector>

#include "kernels/cuda_stream.h"

namespace mg {

// Milliseconds of each of so many runs, by events before and after it in the stream. Waits for the last one.
std::vector<double> device_times(CudaStream& stream, const std::function<void()>& work, int runs);

}  // namespace mg
