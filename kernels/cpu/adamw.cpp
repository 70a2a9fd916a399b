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
  const double step = static_cast<double>(args.step);
  const auto correction1 = static_cast<float>(1.0 - std::pow(static_cast<double>(args.beta1), step));
  const auto correction2 =
      static_cast<float>(std::sqrt(1.0 - std::pow(static_cast<double>(args.beta2), step)));
  const float rate = args.lr / correction1;
  const float decay = 1.0f - args.lr * args.weight_decay;
  stream.parallel_for((args.count + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(args.count, (block + 1) * kBlock);
    for (std::int64_t i = block * kBlock; i < end; ++i) {
      const float g = args.grad[i] * args.grad_scale;
      const float m = args.beta1 * args.first_moment[i] + (1.0f - args.beta1) * g;
      const float v = args.beta2 * args.second_moment[i] + (1.0f - args.beta2) * g * g;
      args.first_moment[i] = m;
      args.second_moment[i] = v;
      args.weight[i] = args.weight[i] * decay - rate * m / (std::sqrt(v) / correction2 + args.eps);
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
