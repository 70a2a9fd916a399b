#include "kernels/gather_rows.h"

#include <algorithm>

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
  const std::int64_t rows = args.dx.rows(), channels = args.dx.channels();
  const RowSegments& segments = args.segments;
  for_each_row_block(stream, rows, channels, [&](std::int64_t begin, std::int64_t end) {
    const std::int32_t* last = segments.rows + segments.count;
    const std::int32_t* next = std::lower_bound(segments.rows, last, begin);
    for (std::int64_t j = begin; j < end; ++j) {
      float* dx = args.dx.f32() + j * args.dx.pitch;
      std::fill_n(dx, channels, 0.0f);
      if (next == last || *next != j) continue;
      const std::int64_t segment = next++ - segments.rows;
      for (std::int32_t s = segments.starts[segment]; s < segments.starts[segment + 1]; ++s) {
        const float* dy = args.dy.f32() + segments.order[s] * args.dy.pitch;
        for (std::int64_t c = 0; c < channels; ++c) dx[c] += dy[c];
      }
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(gather_rows_forward, GatherRowsForward)
MG_KERNEL(gather_rows_backward, GatherRowsBackward)
