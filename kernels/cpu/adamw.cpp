#include "kernels/adamw.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {
constexpr std::int64_t kBlock = 16384;
}

void adamw_step(const AdamWStep& args, CpuStream& stream) {
  const auto step = static_cast<double>(args.step);
  const auto beta1 = static_cast<float>(args.beta1), rest1 = static_cast<float>(1 - args.beta1);
  const auto beta2 = static_cast<float>(args.beta2), rest2 = static_cast<float>(1 - args.beta2);
  const auto rate = static_cast<float>(args.lr / (1 - std::pow(args.beta1, step)));
  const auto deviation_scale = static_cast<float>(1 / std::sqrt(1 - std::pow(args.beta2, step)));
  const auto decay = static_cast<float>(1 - args.lr * args.weight_decay);
  const auto eps = static_cast<float>(args.eps);
  stream.parallel_for((args.count + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(args.count, (block + 1) * kBlock);
    for (std::int64_t i = block * kBlock; i < end; ++i) {
      const float g = args.grad[i] * args.grad_scale;
      const float m = beta1 * args.first_moment[i] + rest1 * g;
      const float v = beta2 * args.second_moment[i] + rest2 * g * g;
      args.first_moment[i] = m;
      args.second_moment[i] = v;
      args.weight[i] = args.weight[i] * decay - rate * m / (std::sqrt(v) * deviation_scale + eps);
    }
  });
}

void sum_of_squares(const SumOfSquares& args, CpuStream& stream) {
  const std::int64_t blocks = (args.count + kBlock - 1) / kBlock;
  auto* partial =
      reinterpret_cast<double*>(stream.scratch(CpuStream::kShared, 0, static_cast<std::size_t>(2 * blocks)));
  stream.parallel_for(blocks, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(args.count, (block + 1) * kBlock);
    double sum = 0;
    for (std::int64_t i = block * kBlock; i < end; i += 256) {
      Vec lanes_sum{};
      for_each_vector(std::min<std::int64_t>(256, end - i), [&](std::int64_t c, auto lanes) {
        const Vec x = lanes.load(args.x + i + c);
        lanes_sum += x * x;
      });
      sum += static_cast<double>(sum_lanes(lanes_sum));
    }
    partial[block] = sum;
  });
  for (std::int64_t block = 0; block < blocks; ++block) *args.sum += partial[block];
}

}  // namespace mg::MG_ISA

MG_KERNEL(adamw_step, AdamWStep)
MG_KERNEL(sum_of_squares, SumOfSquares)
