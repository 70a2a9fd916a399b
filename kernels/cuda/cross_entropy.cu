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

// Warp: row r. logits, targets: [rows, classes]. row_lse, row_loss: [rows].
template <class Elem>
__global__ void __launch_bounds__(32 * kWarps)
    cross_entropy_forward_kernel(std::int64_t rows, int classes, Rows<const Elem> logits,
                                 Rows<const float> targets, float* row_lse, float* row_loss) {
  const std::int64_t r = row_of_warp();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int n = r < rows ? classes : 0;  // warps without a row go along
  float largest = -INFINITY;
  for (int k = lane; k < n; k += 32) largest = fmaxf(largest, to_f32(*logits.at(r, k)));
  largest = warp_max(largest);
  float sum = 0;
  for (int k = lane; k < n; k += 32) sum += expf(to_f32(*logits.at(r, k)) - largest);
  const float log_sum = logf(warp_sum(sum));
  float loss = 0;
  for (int k = lane; k < n; k += 32) {
    const float target = *targets.at(r, k);
    // A class that is masked by a logit of -inf has target 0.
    if (target != 0) loss += target * ((largest - to_f32(*logits.at(r, k))) + log_sum);
  }
  loss = warp_sum(loss);
  if (n == 0 || lane != 0) return;
  row_lse[r] = largest + log_sum;
  row_loss[r] = loss;
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
  const std::int64_t r = row_of_warp();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int n = r < rows ? classes : 0;
  float mass = 0;
  for (int k = lane; k < n; k += 32) mass += *targets.at(r, k);
  mass = warp_sum(mass);
  if (n == 0) return;
  const float factor = *dloss / static_cast<float>(rows), lse = row_lse[r];
  for (int k = lane; k < dlogits.pitch; k += 32) {
    float d = 0;  // of the padding
    if (k < classes) d = factor * (mass * expf(to_f32(*logits.at(r, k)) - lse) - *targets.at(r, k));
    *dlogits.at(r, k) = from_f32<Elem>(d);
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
