// Cross-entropy with soft targets. A warp a row; classes are few. The rows' losses are added in double by one
// block, in a fixed order.
#include "kernels/cross_entropy.h"

#include "kernels/cuda/rows.cuh"

namespace mg {

namespace {

using namespace cuda;

constexpr int kWarps = 8;

__device__ __forceinline__ std::int64_t row_of_warp() {
  return blockIdx.x * std::int64_t{kWarps} + threadIdx.x / 32;
}

// A row in a warp's registers, up to kHeldClasses classes a lane; what is beyond them is read again where it
// is needed.
constexpr int kHeldClasses = 4;

template <class Elem>
struct WarpRow {
  const Elem* logits;
  const float* targets;
  int classes;  // 0: a warp without a row goes along
  float logit[kHeldClasses], target[kHeldClasses];

  __device__ WarpRow(Rows<const Elem> all_logits, Rows<const float> all_targets, std::int64_t r, int n)
      : logits(all_logits.at(r, 0)), targets(all_targets.at(r, 0)), classes(n) {
#pragma unroll
    for (int i = 0; i < kHeldClasses; ++i) {
      const int k = class_of(i);
      logit[i] = k < classes ? to_f32(logits[k]) : 0.0f;
      target[i] = k < classes ? targets[k] : 0.0f;
    }
  }
  __device__ static int class_of(int i) { return static_cast<int>(threadIdx.x) % 32 + 32 * i; }
  // f(class, logit, target) for this lane's classes.
  template <class F>
  __device__ void for_each(F f) const {
#pragma unroll
    for (int i = 0; i < kHeldClasses; ++i) {
      if (class_of(i) < classes) f(class_of(i), logit[i], target[i]);
    }
    for (int k = class_of(kHeldClasses); k < classes; k += 32) f(k, to_f32(logits[k]), targets[k]);
  }
};

// Warp: row r. logits, targets: [rows, classes]. row_lse, row_loss: [rows].
template <class Elem>
__global__ void __launch_bounds__(32 * kWarps)
    cross_entropy_forward_kernel(std::int64_t rows, int classes, Rows<const Elem> logits,
                                 Rows<const float> targets, float* row_lse, float* row_loss) {
  __shared__ float results[2][kWarps];
  const std::int64_t r = row_of_warp();
  const WarpRow<Elem> row(logits, targets, r, r < rows ? classes : 0);
  float largest = -INFINITY, sum = 0, loss = 0;
  row.for_each([&](int, float logit, float) { largest = fmaxf(largest, logit); });
  largest = warp_max(largest);
  row.for_each([&](int, float logit, float) { sum += expf(logit - largest); });
  const float log_sum = logf(warp_sum(sum));
  row.for_each([&](int, float logit, float target) {
    // A class that is masked by a logit of -inf has target 0.
    if (target != 0) loss += target * ((largest - logit) + log_sum);
  });
  loss = warp_sum(loss);
  if (threadIdx.x % 32 == 0) {
    results[0][threadIdx.x / 32] = largest + log_sum;
    results[1][threadIdx.x / 32] = loss;
  }
  __syncthreads();
  const std::int64_t out = blockIdx.x * std::int64_t{kWarps} + threadIdx.x;
  if (threadIdx.x >= kWarps || out >= rows) return;
  row_lse[out] = results[0][threadIdx.x];
  row_loss[out] = results[1][threadIdx.x];
}

// One block. Shared: 8 KiB, static.
__global__ void __launch_bounds__(1024)
    cross_entropy_mean_kernel(const float* row_loss, std::int64_t rows, float* loss) {
  __shared__ double shared[1024];
  double sum = 0;
  for (std::int64_t r = threadIdx.x; r < rows; r += 1024) sum += static_cast<double>(row_loss[r]);
  shared[threadIdx.x] = sum;
  for (unsigned step = 512; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) shared[threadIdx.x] += shared[threadIdx.x + step];
  }
  if (threadIdx.x == 0) *loss = static_cast<float>(shared[0] / static_cast<double>(rows));
}

// Warp: row r. dlogits, logits, targets: [rows, classes]. row_lse: [rows]. dloss: [1].
template <class Elem>
__global__ void __launch_bounds__(32 * kWarps)
    cross_entropy_backward_kernel(std::int64_t rows, int classes, Rows<Elem> dlogits, Rows<const Elem> logits,
                                  Rows<const float> targets, const float* row_lse, const float* dloss) {
  __shared__ float numbers[kWarps + 1];  // the rows' log-sum-exps, and dloss
  const std::int64_t r = row_of_warp(), first = blockIdx.x * std::int64_t{kWarps};
  if (threadIdx.x < kWarps && first + threadIdx.x < rows) numbers[threadIdx.x] = row_lse[first + threadIdx.x];
  if (threadIdx.x == kWarps) numbers[kWarps] = *dloss;
  __syncthreads();
  const WarpRow<Elem> row(logits, targets, r, r < rows ? classes : 0);
  float mass = 0;
  row.for_each([&](int, float, float target) { mass += target; });
  mass = warp_sum(mass);
  if (r >= rows) return;
  const float factor = numbers[kWarps] / static_cast<float>(rows), lse = numbers[threadIdx.x / 32];
  row.for_each([&](int k, float logit, float target) {
    *dlogits.at(r, k) = from_f32<Elem>(factor * (mass * expf(logit - lse) - target));
  });
  for (int k = classes + static_cast<int>(threadIdx.x) % 32; k < dlogits.pitch; k += 32) {
    *dlogits.at(r, k) = from_f32<Elem>(0.0f);
  }
}

unsigned warp_blocks(std::int64_t rows) {
  return static_cast<unsigned>(ceil_div<std::int64_t>(rows, kWarps));
}

}  // namespace

void cross_entropy_forward(const CrossEntropyForward& args, CudaStream& stream) {
  const std::int64_t rows = args.logits.rows();
  auto* row_loss = static_cast<float*>(stream.workspace(0, static_cast<std::size_t>(rows) * sizeof(float)));
  with_elem(args.logits.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    launch(stream, "cross_entropy_forward_kernel", cross_entropy_forward_kernel<Elem>, warp_blocks(rows),
           32 * kWarps, 0, rows, args.logits.channels(), rows_of<Elem>(args.logits),
           rows_of<float>(args.targets), args.row_lse, row_loss);
  });
  launch(stream, "cross_entropy_mean_kernel", cross_entropy_mean_kernel, 1, 1024, 0, row_loss, rows,
         args.loss);
}

void cross_entropy_backward(const CrossEntropyBackward& args, CudaStream& stream) {
  const std::int64_t rows = args.logits.rows();
  with_elem(args.logits.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    launch(stream, "cross_entropy_backward_kernel", cross_entropy_backward_kernel<Elem>, warp_blocks(rows),
           32 * kWarps, 0, rows, args.logits.channels(), rows_of<Elem>(args.dlogits),
           rows_of<Elem>(args.logits), rows_of<float>(args.targets), args.row_lse, args.dloss);
  });
}

}  // namespace mg
