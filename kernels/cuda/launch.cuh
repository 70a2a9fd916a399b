// Launching: the one function that starts a kernel, the choice of the element type, and small helpers that
// all kernels share.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/cuda_stream.h"
#include "kernels/view.h"

namespace mg::cuda {

// Throws CudaError with the call, the device's reason and, for a kernel, its name.
void check(cudaError_t error, const char* what);

template <class Integer>
__host__ __device__ constexpr Integer ceil_div(Integer a, std::type_identity_t<Integer> b) {
  return (a + b - 1) / b;
}

// launch(stream, "relu_forward_kernel", relu_forward_kernel<float>, grid, threads, shared_bytes, args...).
// More than 48 KiB of dynamic shared memory are asked for where needed. An empty grid launches nothing.
template <class... Parameters, class... Args>
void launch(CudaStream& stream, const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared_bytes, Args&&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (shared_bytes > std::size_t{48} << 10) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          name);
  }
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream.handle())>>>(
      static_cast<Parameters>(args)...);
  check(cudaGetLastError(), name);
  stream.launched(name);
}

using BF16 = __nv_bfloat16;

// Calls f(Elem{}) with float or BF16: with_elem(view.dtype, [&](auto elem) { using Elem = decltype(elem); ...
// }).
template <class F>
void with_elem(DType type, F&& f) {
  if (type == DType::f32) return f(float{});
  if (type == DType::bf16) return f(BF16{});
  throw CudaError(CudaError::Kind::failed, "a kernel for f32 and bf16 got another element type");
}

template <class Elem>
Elem* data(const View& view) {
  return static_cast<Elem*>(view.data);
}
template <class Elem>
const Elem* data(const ConstView& view) {
  return static_cast<const Elem*>(view.data);
}

template <class Elem>
__device__ __forceinline__ float to_f32(Elem x) {
  return static_cast<float>(x);
}
template <class Elem>
__device__ __forceinline__ Elem from_f32(float x) {
  return static_cast<Elem>(x);  // bf16: to nearest even
}

// kCount elements in 16-byte accesses (kCount * sizeof(Elem) a multiple of 16), as floats.
template <int kCount, class Elem>
__device__ __forceinline__ void load(float (&values)[kCount], const Elem* p) {
  constexpr int kEach = 16 / sizeof(Elem);
  static_assert(kCount % kEach == 0);
#pragma unroll
  for (int i = 0; i < kCount / kEach; ++i) {
    const uint4 raw = *reinterpret_cast<const uint4*>(p + i * kEach);
    const Elem* each = reinterpret_cast<const Elem*>(&raw);
#pragma unroll
    for (int j = 0; j < kEach; ++j) values[i * kEach + j] = to_f32(each[j]);
  }
}
template <int kCount, class Elem>
__device__ __forceinline__ void store(Elem* p, const float (&values)[kCount]) {
  constexpr int kEach = 16 / sizeof(Elem);
  static_assert(kCount % kEach == 0);
#pragma unroll
  for (int i = 0; i < kCount / kEach; ++i) {
    uint4 raw;
    Elem* each = reinterpret_cast<Elem*>(&raw);
#pragma unroll
    for (int j = 0; j < kEach; ++j) each[j] = from_f32<Elem>(values[i * kEach + j]);
    *reinterpret_cast<uint4*>(p + i * kEach) = raw;
  }
}

// Over the 32 lanes of a warp, in a fixed order; every lane gets the result. All lanes must call.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int d = 16; d > 0; d /= 2) x += __shfl_xor_sync(0xffffffffu, x, d);
  return x;
}
__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
  for (int d = 16; d > 0; d /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, d));
  return x;
}

}  // namespace mg::cuda
