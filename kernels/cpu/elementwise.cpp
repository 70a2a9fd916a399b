#include "kernels/elementwise.h"

#include <algorithm>

#include "kernels/cpu/isa.h"

namespace mg::MG_ISA {

void add_forward(const AddForward& args, CpuStream& stream) {
  constexpr std::int64_t kBlock = 256;
  const std::int64_t rows = args.y.rows();
  stream.parallel_for((rows + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(rows, (block + 1) * kBlock);
    for (std::int64_t r = block * kBlock; r < end; ++r) {
      const float* a = args.a.f32() + r * args.a.pitch;
      const float* b = args.b.f32() + r * args.b.pitch;
      float* y = args.y.f32() + r * args.y.pitch;
      for (std::int64_t c = 0; c < args.y.channels(); ++c) y[c] = a[c] + b[c];
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(add_forward, AddForward)
