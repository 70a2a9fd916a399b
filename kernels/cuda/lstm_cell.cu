// One step of an LSTM. A thread takes some hidden units of a row and reads the four gates of each.
#include "kernels/lstm_cell.h"

#include "kernels/cuda/activation.cuh"
#include "kernels/cuda/rows.cuh"

namespace mg {

namespace {

using namespace cuda;

template <int kWidth>
struct Gates {
  float i[kWidth], f[kWidth], g[kWidth], o[kWidth];
};

// Units column .. of row r, after the activations.
template <int kWidth, class Elem>
__device__ __forceinline__ Gates<kWidth> load_gates(Rows<const Elem> gates, std::int64_t r, int hidden,
                                                    int column) {
  Gates<kWidth> a;
  load_chunk(a.i, gates.at(r, column));
  load_chunk(a.f, gates.at(r, hidden + column));
  load_chunk(a.g, gates.at(r, 2 * hidden + column));
  load_chunk(a.o, gates.at(r, 3 * hidden + column));
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    a.i[j] = sigmoid(a.i[j]);
    a.f[j] = sigmoid(a.f[j]);
    a.g[j] = tanhf(a.g[j]);
    a.o[j] = sigmoid(a.o[j]);
  }
  return a;
}

// h, c, c_before: [rows, hidden], gates: [rows, 4 * hidden]. With kWidth above 1, hidden is a multiple of it.
template <int kWidth, class Elem>
__global__ void lstm_cell_forward_kernel(RowTile tile, int hidden, Rows<Elem> h, Rows<float> c,
                                         Rows<const Elem> gates, Rows<const float> c_before) {
  const int column = tile.column<kWidth>();
  const std::int64_t end = tile.end();
  for (std::int64_t r = tile.first(); r < end; r += tile.lanes) {
    float next[kWidth] = {}, output[kWidth] = {};
    if (column < hidden) {
      const Gates<kWidth> a = load_gates<kWidth>(gates, r, hidden, column);
      load_chunk(next, c_before.at(r, column));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        next[j] = a.f[j] * next[j] + a.i[j] * a.g[j];
        output[j] = a.o[j] * tanhf(next[j]);
      }
    }
    if (column < c.pitch) store_chunk(c.at(r, column), next);
    if (column < h.pitch) store_chunk(h.at(r, column), output);
  }
}

// dgates: [rows, 4 * hidden]; dc_before, dh, dc (or null), c_before, c: [rows, hidden]. The padding of dgates
// is written by the threads of a row together, `columns` apart.
template <int kWidth, class Elem>
__global__ void lstm_cell_backward_kernel(RowTile tile, int hidden, int columns, Rows<Elem> dgates,
                                          Rows<float> dc_before, Rows<const Elem> dh, Rows<const float> dc,
                                          Rows<const Elem> gates, Rows<const float> c_before,
                                          Rows<const float> c) {
  const int column = tile.column<kWidth>();
  const std::int64_t end = tile.end();
  for (std::int64_t r = tile.first(); r < end; r += tile.lanes) {
    float before[kWidth] = {};
    if (column < hidden) {
      const Gates<kWidth> a = load_gates<kWidth>(gates, r, hidden, column);
      float now[kWidth], dnow[kWidth], dc_now[kWidth] = {}, di[kWidth], df[kWidth], dg[kWidth], d_o[kWidth];
      load_chunk(now, c.at(r, column));
      load_chunk(dnow, dh.at(r, column));
      load_chunk(before, c_before.at(r, column));
      if (dc.data != nullptr) load_chunk(dc_now, dc.at(r, column));
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        const float tanh_c = tanhf(now[j]);
        const float d = dc_now[j] + dnow[j] * a.o[j] * (1.0f - tanh_c * tanh_c);
        di[j] = d * a.g[j] * a.i[j] * (1.0f - a.i[j]);
        df[j] = d * before[j] * a.f[j] * (1.0f - a.f[j]);
        dg[j] = d * a.i[j] * (1.0f - a.g[j] * a.g[j]);
        d_o[j] = dnow[j] * tanh_c * a.o[j] * (1.0f - a.o[j]);
        before[j] = d * a.f[j];
      }
      store_chunk(dgates.at(r, column), di);
      store_chunk(dgates.at(r, hidden + column), df);
      store_chunk(dgates.at(r, 2 * hidden + column), dg);
      store_chunk(dgates.at(r, 3 * hidden + column), d_o);
    }
    if (column < dc_before.pitch) store_chunk(dc_before.at(r, column), before);
    const float zeros[kWidth] = {};
    for (int p = 4 * hidden + column; p < dgates.pitch; p += columns) store_chunk(dgates.at(r, p), zeros);
  }
}

// f(Elem{}, width): 4 units a thread, or 1 where gates or rows do not begin at 16 bytes.
template <class F, class... Views>
void with_units(DType type, std::int64_t hidden, F&& f, const Views&... views) {
  with_elem(type, [&](auto elem) {
    if (hidden % 4 == 0 && (aligned(views, 4) && ...)) return f(elem, std::integral_constant<int, 4>{});
    return f(elem, std::integral_constant<int, 1>{});
  });
}

// Columns that all threads of a row cover together.
int columns_of(const RowLaunch& l, int width) { return static_cast<int>(l.grid.y) * l.tile.chunks * width; }

}  // namespace

void lstm_cell_forward(const LstmCellForward& args, CudaStream& stream) {
  const std::int64_t hidden = args.h.channels();
  with_units(
      args.h.dtype, hidden,
      [&](auto elem, auto width) {
        using Elem = decltype(elem);
        const RowLaunch l = row_launch(args.h.rows(), std::max(args.h.pitch, args.c.pitch), width, 1);
        launch(stream, "lstm_cell_forward_kernel", lstm_cell_forward_kernel<width(), Elem>, l.grid, l.block,
               0, l.tile, hidden, rows_of<Elem>(args.h), rows_of<float>(args.c), rows_of<Elem>(args.gates),
               rows_of<float>(args.c_before));
      },
      args.h, args.c, args.gates, args.c_before);
}

void lstm_cell_backward(const LstmCellBackward& args, CudaStream& stream) {
  const std::int64_t hidden = args.c.channels();
  with_units(
      args.dgates.dtype, hidden,
      [&](auto elem, auto width) {
        using Elem = decltype(elem);
        const RowLaunch l = row_launch(args.c.rows(), args.dc_before.pitch, width, 1);
        launch(stream, "lstm_cell_backward_kernel", lstm_cell_backward_kernel<width(), Elem>, l.grid, l.block,
               0, l.tile, hidden, columns_of(l, width), rows_of<Elem>(args.dgates),
               rows_of<float>(args.dc_before), rows_of<Elem>(args.dh), rows_of<float>(args.dc),
               rows_of<Elem>(args.gates), rows_of<float>(args.c_before), rows_of<float>(args.c));
      },
      args.dgates, args.dc_before, args.dh, args.dc, args.gates, args.c_before, args.c);
}

}  // namespace mg
