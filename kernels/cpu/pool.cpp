#include "kernels/pool.h"

#include <algorithm>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/rows.h"

namespace mg::MG_ISA {

void global_average_pool_forward(const GlobalAveragePoolForward& args, CpuStream& stream) {
  const std::int64_t samples = args.y.rows(), channels = args.x.channels();
  const std::int64_t positions = args.x.rows() / samples;
  constexpr std::int64_t kGroup = 64;  // channels of one piece of work
  const std::int64_t groups = (channels + kGroup - 1) / kGroup;
  stream.parallel_for(samples * groups, [&](std::int64_t item, int) {
    const std::int64_t n = item / groups, first = item % groups * kGroup;
    const std::int64_t count = std::min(kGroup, channels - first);
    double sums[kGroup] = {};
    for (std::int64_t p = 0; p < positions; ++p) {
      const float* x = args.x.f32() + (n * positions + p) * args.x.pitch + first;
      for (std::int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(x[i]);
    }
    float* y = args.y.f32() + n * args.y.pitch + first;
    for (std::int64_t i = 0; i < count; ++i)
      y[i] = static_cast<float>(sums[i] / static_cast<double>(positions));
  });
}

void global_average_pool_backward(const GlobalAveragePoolBackward& args, CpuStream& stream) {
  const std::int64_t channels = args.dx.channels();
  const std::int64_t positions = args.dx.rows() / args.dy.rows();
  const float factor = 1.0f / static_cast<float>(positions);
  for_each_row_block(stream, args.dx.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* dy = args.dy.f32() + r / positions * args.dy.pitch;
      float* dx = args.dx.f32() + r * args.dx.pitch;
      for (std::int64_t c = 0; c < channels; ++c) dx[c] = dy[c] * factor;
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(global_average_pool_forward, GlobalAveragePoolForward)
MG_KERNEL(global_average_pool_backward, GlobalAveragePoolBackward)
