#include "kernels/lstm_cell.h"

#include <algorithm>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {

inline Vec vtanh(Vec x) { return 2.0f * vsigmoid(2.0f * x) - 1.0f; }

struct Gates {
  Vec i, f, g, o;
};

template <class Lanes>
inline Gates activate(const float* gates, std::int64_t hidden, std::int64_t j, Lanes lanes) {
  return {vsigmoid(lanes.load(gates + j)), vsigmoid(lanes.load(gates + hidden + j)),
          vtanh(lanes.load(gates + 2 * hidden + j)), vsigmoid(lanes.load(gates + 3 * hidden + j))};
}

template <class AnyView>
auto* row(const AnyView& view, std::int64_t r) {
  return view.f32() + r * view.pitch;
}

}  // namespace

void lstm_cell_forward(const LstmCellForward& args, CpuStream& stream) {
  const std::int64_t hidden = args.h.channels();
  for_each_row_block(stream, args.h.rows(), 4 * hidden, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      for_each_vector(hidden, [&](std::int64_t j, auto lanes) {
        const Gates a = activate(row(args.gates, r), hidden, j, lanes);
        const Vec c = a.f * lanes.load(row(args.c_before, r) + j) + a.i * a.g;
        lanes.store(row(args.c, r) + j, c);
        lanes.store(row(args.h, r) + j, a.o * vtanh(c));
      });
    }
  });
}

void lstm_cell_backward(const LstmCellBackward& args, CpuStream& stream) {
  const std::int64_t hidden = args.c.channels();
  for_each_row_block(stream, args.c.rows(), 4 * hidden, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      float* dgates = row(args.dgates, r);
      for_each_vector(hidden, [&](std::int64_t j, auto lanes) {
        const Gates a = activate(row(args.gates, r), hidden, j, lanes);
        const Vec tanh_c = vtanh(lanes.load(row(args.c, r) + j)), dh = lanes.load(row(args.dh, r) + j);
        Vec dc = dh * a.o * (1.0f - tanh_c * tanh_c);
        if (args.dc) dc += lanes.load(row(args.dc, r) + j);
        lanes.store(dgates + j, dc * a.g * a.i * (1.0f - a.i));
        lanes.store(dgates + hidden + j, dc * lanes.load(row(args.c_before, r) + j) * a.f * (1.0f - a.f));
        lanes.store(dgates + 2 * hidden + j, dc * a.i * (1.0f - a.g * a.g));
        lanes.store(dgates + 3 * hidden + j, dh * tanh_c * a.o * (1.0f - a.o));
        lanes.store(row(args.dc_before, r) + j, dc * a.f);
      });
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(lstm_cell_forward, LstmCellForward)
MG_KERNEL(lstm_cell_backward, LstmCellBackward)
