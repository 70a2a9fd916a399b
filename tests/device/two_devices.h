// A context on the processor and one on the CUDA device, for comparing them. tests/cuda/run says where there
// is none.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/context.h"

namespace mg::test {

inline bool has_cuda() {
  const char* device = std::getenv("MG_TEST_DEVICE");
  if (device != nullptr && std::string(device) == "cuda") return true;
  MESSAGE("skipped: no CUDA device was asked for (MG_TEST_DEVICE=cuda, as tests/cuda/run sets it)");
  return false;
}

inline Context cpu_context(DType type) {
  Context ctx(CpuStream(2));
  ctx.activations = type;
  return ctx;
}

inline Context cuda_context(DType type) {
#if defined(MG_CUDA)
  Context ctx(CudaStream{});
  ctx.activations = type;
  return ctx;
#else
  FAIL("MG_TEST_DEVICE=cuda, but this build has no CUDA");
  return cpu_context(type);
#endif
}

}  // namespace mg::test
