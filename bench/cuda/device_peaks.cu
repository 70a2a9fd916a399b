// Peaks of a device. Products: every warp keeps eight independent chains in registers, four warps a
// scheduler, which hides the latency of multiply-adds and of tensor cores. mma.sync is what our kernels use;
// wgmma of sm_90 goes higher.
#include <algorithm>

#include "bench/cuda/device_peaks.h"
#include "bench/cuda/events.h"
#include "kernels/cuda/launch.cuh"

namespace mg {

namespace {

using cuda::BF16;

constexpr int kChains = 8, kThreads = 512;

// One element a thread at the end, so that the work cannot be left out. sums: [grid * block].
__global__ void __launch_bounds__(kThreads)
    peak_fp32_kernel(float* sums, int iterations, float factor, float term) {
  float r[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) r[i] = static_cast<float>(i + threadIdx.x);
  for (int step = 0; step < iterations; ++step) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) r[i] = fmaf(r[i], factor, term);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += r[i];
  sums[blockIdx.x * kThreads + threadIdx.x] = sum;
}

// m16n8k16 of bf16, or m16n8k8 of tf32. The operands are zeros, whose layout does not matter.
template <bool kTf32>
__device__ __forceinline__ void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  if constexpr (kTf32) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

template <bool kTf32>
__global__ void __launch_bounds__(kThreads) peak_tensor_kernel(float* sums, int iterations, unsigned bits) {
  float d[kChains][4] = {};
  const unsigned a[4] = {bits, bits, bits, bits}, b[2] = {bits, bits};
  for (int step = 0; step < iterations; ++step) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) multiply<kTf32>(d[i], a, b);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += d[i][0] + d[i][1] + d[i][2] + d[i][3];
  sums[blockIdx.x * kThreads + threadIdx.x] = sum;
}

// 16 bytes a thread and step, the grid striding over the array.
__global__ void __launch_bounds__(kThreads)
    peak_copy_kernel(uint4* to, const uint4* from, std::int64_t count) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += stride)
    to[i] = from[i];
}

double best_ms(CudaStream& stream, const std::function<void()>& work, bool quick) {
  device_times(stream, work, 1);
  const auto times = device_times(stream, work, quick ? 1 : 20);
  return *std::min_element(times.begin(), times.end());
}

// Device memory that goes when it is no longer needed.
class Scratch {
 public:
  Scratch(CudaStream& stream, std::size_t bytes) : stream_(stream), memory_(stream.allocate(bytes)) {
    stream.zero(memory_, bytes);
  }
  ~Scratch() { stream_.release(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  CudaStream stream_;
  void* memory_;
};

}  // namespace

DevicePeaks measure_device_peaks(CudaStream& stream, bool quick) {
  const int blocks = quick ? 1 : stream.device().multiprocessors * 2, iterations = quick ? 4 : 20'000;
  const Scratch sums(stream, sizeof(float) * static_cast<std::size_t>(blocks) * kThreads);
  const double warps = static_cast<double>(blocks) * kThreads / 32,
               steps = static_cast<double>(iterations) * kChains;
  const auto rate = [&](double flops_of_warp, const std::function<void()>& work) {
    return flops_of_warp * warps * steps / best_ms(stream, work, quick) / 1e6;
  };
  DevicePeaks peaks;
  peaks.fp32_gflops = rate(2.0 * 32, [&] {
    cuda::launch(stream, "peak_fp32_kernel", peak_fp32_kernel, blocks, kThreads, 0, sums.as<float>(),
                 iterations, 0.999F, 0.001F);
  });
  peaks.bf16_gflops = rate(2.0 * 16 * 8 * 16, [&] {
    cuda::launch(stream, "peak_tensor_kernel", peak_tensor_kernel<false>, blocks, kThreads, 0,
                 sums.as<float>(), iterations, 0u);
  });
  peaks.tf32_gflops = rate(2.0 * 16 * 8 * 8, [&] {
    cuda::launch(stream, "peak_tensor_kernel", peak_tensor_kernel<true>, blocks, kThreads, 0,
                 sums.as<float>(), iterations, 0u);
  });
  // 256 MiB to 256 MiB: more than any L2 holds.
  const std::size_t bytes = quick ? std::size_t{1} << 16 : std::size_t{256} << 20;
  const Scratch from(stream, bytes), to(stream, bytes);
  const auto count = static_cast<std::int64_t>(bytes / sizeof(uint4));
  const double ms = best_ms(
      stream,
      [&] {
        cuda::launch(stream, "peak_copy_kernel", peak_copy_kernel, blocks * 2, kThreads, 0, to.as<uint4>(),
                     from.as<uint4>(), count);
      },
      quick);
  peaks.copy_gbytes = 2.0 * static_cast<double>(bytes) / ms / 1e6;
  return peaks;
}

}  // namespace mg
