#include "kernels/conv3d.h"

#include "engine/ops.h"

namespace mg {

Value conv3d(Context& ctx, const Value& x, const Value& w, const Conv3dGeometry& g,
             const BatchStatistics& statistics) {
  const Shape xs = x.shape(), ws = w.shape();
  expect(xs.rank() == 5 && ws.rank() == 5 && xs[4] == ws[1],
         "conv3d: expected x [N,T,H,W,C] and w [K,C,kt,kh,kw] of the same C, got {} and {}", to_string(xs),
         to_string(ws));
  expect(ws[2] == g.kernel[0] && ws[3] == g.kernel[1] && ws[4] == g.kernel[2],
         "conv3d: weights {} do not have the kernel {}x{}x{}", to_string(ws), g.kernel[0], g.kernel[1],
         g.kernel[2]);
  Shape ys{xs[0], g.output_extent(0, xs[1]), g.output_extent(1, xs[2]), g.output_extent(2, xs[3]), ws[0]};
  expect(ys[1] > 0 && ys[2] > 0 && ys[3] > 0, "conv3d: input {} is smaller than the kernel of {}",
         to_string(xs), to_string(ws));
  Tensor y = ctx.empty_like(x.data, ys);
  ctx.run([&](auto& s) {
    conv3d_forward({.y = y.view(),
                    .x = x.data.view(),
                    .w = w.data.view(),
                    .geometry = g,
                    .input = {},
                    .epilogue = {},
                    .statistics = statistics},
                   s);
  });
  if (!ctx.records(x, w)) return {y};
  return ctx.tape->record("conv3d", y, {x.data, w.data}, [g, xslot = x.slot, wslot = w.slot](Backward& b) {
    const Tensor &saved_x = b.saved[0], &saved_w = b.saved[1];
    if (wslot >= 0) {
      Tensor dw = b.context.empty(saved_w.shape(), Layout::dense);
      b.context.run([&](auto& s) {
        conv3d_backward_weight({dw.view(), saved_x.view(), std::as_const(b.doutput).view(), g}, s);
      });
      b.add(wslot, dw);
    }
    if (xslot >= 0) {
      Tensor dx = b.context.empty_like(saved_x);
      b.context.run([&](auto& s) {
        conv3d_backward_data({dx.view(), std::as_const(b.doutput).view(), saved_w.view(), g}, s);
      });
      b.add(xslot, dx);
    }
  });
}

}  // namespace mg
