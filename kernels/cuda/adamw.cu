// AdamW over all tensors at once. Elements are dealt out in chunks of 16,384, each of one tensor: a pass over
// the gradients (a sum of squares for each chunk), a block that adds these in double, in a fixed order, and
// decides what the step is, and a pass that takes it. Nothing is waited for: whether a step is skipped is
// decided and acted on here.
#include "kernels/adamw.h"

#include <vector>

#include "kernels/cuda/rows.cuh"

namespace mg {

namespace {

using namespace cuda;

constexpr int kChunk = 16384;
constexpr int kThreads = 256;
constexpr int kPrepareThreads = 1024;

struct TensorWork {
  AdamWTensor tensor;
  std::int64_t first_chunk;  // of all tensors' chunks
};

// What a tensor's step number makes of the settings.
struct Corrections {
  float rate, deviation_scale, decay;
};

// Where this block's chunk lies.
struct ChunkPlace {
  int tensor;
  std::int64_t begin;
  int count;
};

__device__ __forceinline__ ChunkPlace place_of(const TensorWork* work, int tensors, std::int64_t chunk) {
  int low = 0, high = tensors;  // the last tensor that begins at or before the chunk; those without elements
                                // begin with the next
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (work[middle].first_chunk <= chunk ? low : high) = middle;
  }
  const std::int64_t begin = (chunk - work[low].first_chunk) * kChunk, left = work[low].tensor.count - begin;
  return {low, begin, static_cast<int>(left < kChunk ? left : kChunk)};
}

template <class... Pointer>
__device__ __forceinline__ bool all_aligned(Pointer... pointer) {
  return ((reinterpret_cast<std::uintptr_t>(pointer) | ...) % 16) == 0;
}

// Block: chunk blockIdx.x. squares: [chunks].
__global__ void __launch_bounds__(kThreads)
    adamw_norm_kernel(const TensorWork* work, int tensors, double* squares) {
  __shared__ double shared[kThreads];
  const ChunkPlace place = place_of(work, tensors, blockIdx.x);
  const float* grad = work[place.tensor].tensor.grad + place.begin;
  const int thread = static_cast<int>(threadIdx.x);
  // Four sums a thread, of 16 squares each.
  float sums[4] = {};
  const int whole = all_aligned(grad) ? place.count / 4 * 4 : 0;
#pragma unroll 4
  for (int i = 4 * thread; i < whole; i += 4 * kThreads) {
    float g[4];
    load_chunk(g, grad + i);
#pragma unroll
    for (int j = 0; j < 4; ++j) sums[j] += g[j] * g[j];
  }
  for (int i = whole + thread; i < place.count; i += kThreads) sums[0] += grad[i] * grad[i];
  shared[thread] = (static_cast<double>(sums[0]) + static_cast<double>(sums[1])) +
                   (static_cast<double>(sums[2]) + static_cast<double>(sums[3]));
  for (int step = kThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (thread < step) shared[thread] += shared[thread + step];
  }
  if (thread == 0) squares[blockIdx.x] = shared[0];
}

struct Settings {
  double beta1, beta2, eps, max_norm;
};

// One block: the norm, whether there is a step, and then each tensor's step number and corrections.
// grad_scale: [1], corrections: [tensors].
__global__ void __launch_bounds__(kPrepareThreads)
    adamw_prepare_kernel(const TensorWork* work, int tensors, const double* squares, std::int64_t chunks,
                         Settings settings, AdamWOutcome* outcome, float* grad_scale,
                         Corrections* corrections) {
  __shared__ double shared[kPrepareThreads];
  const int thread = static_cast<int>(threadIdx.x);
  double sum = 0;
#pragma unroll 4
  for (std::int64_t c = thread; c < chunks; c += kPrepareThreads) sum += squares[c];
  shared[thread] = sum;
  for (int step = kPrepareThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (thread < step) shared[thread] += shared[thread + step];
  }
  __syncthreads();
  const double norm = sqrt(shared[0]);
  const bool skipped = !isfinite(norm);
  if (thread == 0) {
    *outcome = {norm, skipped ? 1 : 0};
    const bool clips = settings.max_norm > 0 && norm > settings.max_norm;
    *grad_scale = clips ? static_cast<float>(settings.max_norm / (norm + 1e-6)) : 1.0f;
  }
  if (skipped) return;
  for (int i = thread; i < tensors; i += kPrepareThreads) {
    const AdamWTensor& t = work[i].tensor;
    const std::int64_t taken = *t.steps + 1;
    *t.steps = taken;
    const auto step = static_cast<double>(taken);
    corrections[i] = {static_cast<float>(t.lr / (1 - pow(settings.beta1, step))),
                      static_cast<float>(1 / sqrt(1 - pow(settings.beta2, step))),
                      static_cast<float>(1 - t.lr * t.weight_decay)};
  }
}

struct Update {
  float beta1, rest1, beta2, rest2, eps, grad_scale;
  Corrections c;

  __device__ __forceinline__ void operator()(float& weight, float& first, float& second, float grad) const {
    const float g = grad * grad_scale;
    first = beta1 * first + rest1 * g;
    second = beta2 * second + rest2 * g * g;
    weight = weight * c.decay - c.rate * first / (sqrtf(second) * c.deviation_scale + eps);
  }
};

// Block: chunk blockIdx.x.
__global__ void __launch_bounds__(kThreads)
    adamw_update_kernel(const TensorWork* work, int tensors, Settings settings, const AdamWOutcome* outcome,
                        const float* grad_scale, const Corrections* corrections) {
  if (outcome->skipped != 0) return;
  const ChunkPlace place = place_of(work, tensors, blockIdx.x);
  const AdamWTensor& t = work[place.tensor].tensor;
  const Update update{static_cast<float>(settings.beta1), static_cast<float>(1 - settings.beta1),
                      static_cast<float>(settings.beta2), static_cast<float>(1 - settings.beta2),
                      static_cast<float>(settings.eps),   *grad_scale,
                      corrections[place.tensor]};
  float *weight = t.weight + place.begin, *first = t.first_moment + place.begin,
        *second = t.second_moment + place.begin;
  const float* grad = t.grad + place.begin;
  const int thread = static_cast<int>(threadIdx.x);
  const int whole = all_aligned(weight, first, second, grad) ? place.count / 4 * 4 : 0;
  for (int i = 4 * thread; i < whole; i += 4 * kThreads) {
    float w[4], m[4], v[4], g[4];
    load_chunk(w, weight + i);
    load_chunk(m, first + i);
    load_chunk(v, second + i);
    load_chunk(g, grad + i);
#pragma unroll
    for (int j = 0; j < 4; ++j) update(w[j], m[j], v[j], g[j]);
    store_chunk(weight + i, w);
    store_chunk(first + i, m);
    store_chunk(second + i, v);
  }
  for (int i = whole + thread; i < place.count; i += kThreads)
    update(weight[i], first[i], second[i], grad[i]);
}

}  // namespace

void adamw_step(const AdamWStep& args, CudaStream& stream) {
  std::vector<TensorWork> host;
  host.reserve(args.tensors.size());
  std::int64_t chunks = 0;
  for (const AdamWTensor& t : args.tensors) {
    host.push_back({t, chunks});
    chunks += ceil_div<std::int64_t>(t.count, kChunk);
  }
  const std::size_t tensors = host.size();
  auto* work = static_cast<TensorWork*>(stream.workspace(0, tensors * sizeof(TensorWork)));
  auto* squares =
      static_cast<double*>(stream.workspace(1, static_cast<std::size_t>(chunks) * sizeof(double)));
  auto* corrections = static_cast<Corrections*>(stream.workspace(2, (tensors + 1) * sizeof(Corrections)));
  auto* grad_scale = reinterpret_cast<float*>(corrections + tensors);
  stream.upload(work, host.data(), tensors * sizeof(TensorWork));
  const Settings settings{args.beta1, args.beta2, args.eps, args.max_norm};
  launch(stream, "adamw_norm_kernel", adamw_norm_kernel, static_cast<unsigned>(chunks), kThreads, 0, work,
         tensors, squares);
  launch(stream, "adamw_prepare_kernel", adamw_prepare_kernel, 1, kPrepareThreads, 0, work, tensors, squares,
         chunks, settings, args.outcome, grad_scale, corrections);
  launch(stream, "adamw_update_kernel", adamw_update_kernel, static_cast<unsigned>(chunks), kThreads, 0, work,
         tensors, settings, args.outcome, grad_scale, corrections);
}

}  // namespace mg
