#include "kernels/adamw.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {

constexpr std::int64_t kBlock = 16384;

void update(const AdamWStep& args, const AdamWTensor& t, float grad_scale, CpuStream& stream) {
  const auto step = static_cast<double>(++*t.steps);
  const auto beta1 = static_cast<float>(args.beta1), rest1 = static_cast<float>(1 - args.beta1);
  const auto beta2 = static_cast<float>(args.beta2), rest2 = static_cast<float>(1 - args.beta2);
  const auto rate = static_cast<float>(t.lr / (1 - std::pow(args.beta1, step)));
  const auto deviation_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(args.beta2, step)));
  const auto decay = static_cast<float>(1 - t.lr * t.weight_decay);
  const auto eps = static_cast<float>(args.eps);
  stream.parallel_for((t.count + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(t.count, (block + 1) * kBlock);
    for (std::int64_t i = block * kBlock; i < end; ++i) {
      const float g = t.grad[i] * grad_scale;
      const float m = beta1 * t.first_moment[i] + rest1 * g;
      const float v = beta2 * t.second_moment[i] + rest2 * g * g;
      t.first_moment[i] = m;
      t.second_moment[i] = v;
      t.weight[i] = t.weight[i] * decay - rate * m / (std::sqrt(v) * deviation_scale + eps);
    }
  });
}

// In a fixed order: blocks in fp32 lanes, then in double.
double sum_of_squares(const float* x, std::int64_t count, CpuStream& stream) {
  const std::int64_t blocks = (count + kBlock - 1) / kBlock;
  auto* partial =
      reinterpret_cast<double*>(stream.scratch(CpuStream::kShared, 0, static_cast<std::size_t>(2 * blocks)));
  stream.parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(count, (block + 1) * kBlock);
    double sum = 0;
    for (std::int64_t i = block * kBlock; i < end; i += 256) {
      Vec lanes_sum{};
      for_each_vector(std::min<std::int64_t>(256, end - i), [&](std::int64_t c, auto lanes) {
        const Vec value = lanes.load(x + i + c);
        lanes_sum += value * value;
      });
      sum += static_cast<double>(sum_lanes(lanes_sum));
    }
    partial[block] = sum;
  });
  double total = 0;
  for (std::int64_t block = 0; block < blocks; ++block) total += partial[block];
  return total;
}

}  // namespace

void adamw_step(const AdamWStep& args, CpuStream& stream) {
  double squares = 0;
  for (const AdamWTensor& t : args.tensors) squares += sum_of_squares(t.grad, t.count, stream);
  const double norm = std::sqrt(squares);
  *args.outcome = {norm, std::isfinite(squares) ? 0 : 1};
  if (args.outcome->skipped != 0) return;
  const bool clips = args.max_norm > 0 && norm > args.max_norm;
  const float grad_scale = clips ? static_cast<float>(args.max_norm / (norm + 1e-6)) : 1.0f;
  for (const AdamWTensor& t : args.tensors) update(args, t, grad_scale, stream);
}

}  // namespace mg::MG_ISA

MG_KERNEL(adamw_step, AdamWStep)
