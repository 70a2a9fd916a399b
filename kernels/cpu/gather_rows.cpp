#include "kernels/gather_rows.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/rows.h"

namespace mg::MG_ISA {

void gather_rows_forward(const GatherRowsForward& args, CpuStream& stream) {
  const std::int64_t channels = args.y.channels();
  for_each_row_block(stream, args.y.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      std::copy_n(args.x.f32() + args.indices[r] * args.x.pitch, channels, args.y.f32() + r * args.y.pitch);
    }
  });
}

void gather_rows_backward(const GatherRowsBackward& args, CpuStream& stream) {
  const std::int64_t rows = args.dx.rows(), count = args.dy.rows(), channels = args.dx.channels();
  // Counting sort: the sources of each row of dx, in order.
  std::vector<std::int32_t> start(static_cast<std::size_t>(rows) + 1),
      source(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) ++start[static_cast<std::size_t>(args.indices[i]) + 1];
  for (std::size_t j = 1; j < start.size(); ++j) start[j] += start[j - 1];
  std::vector<std::int32_t> next(start.begin(), start.end() - 1);
  for (std::int64_t i = 0; i < count; ++i) {
    source[static_cast<std::size_t>(next[static_cast<std::size_t>(args.indices[i])]++)] =
        static_cast<std::int32_t>(i);
  }
  for_each_row_block(stream, rows, channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t j = begin; j < end; ++j) {
      float* dx = args.dx.f32() + j * args.dx.pitch;
      std::fill_n(dx, channels, 0.0f);
      for (std::int32_t s = start[static_cast<std::size_t>(j)]; s < start[static_cast<std::size_t>(j) + 1];
           ++s) {
        const float* dy = args.dy.f32() + source[static_cast<std::size_t>(s)] * args.dy.pitch;
        for (std::int64_t c = 0; c < channels; ++c) dx[c] += dy[c];
      }
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(gather_rows_forward, GatherRowsForward)
MG_KERNEL(gather_rows_backward, GatherRowsBackward)
