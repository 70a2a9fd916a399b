#include "kernels/linear.h"

#include "engine/ops.h"
#include "kernels/elementwise.h"

namespace mg {

Value linear(Context& ctx, const Value& x, const Value& w, const Value& bias, Activation activation) {
  const Shape ws = w.shape();
  expect(ws.rank() == 2 && x.shape().channels() == ws[1],
         "linear: expected x [..., C] and w [K, C], got {} and {}", to_string(x.shape()), to_string(ws));
  expect(!bias.data || bias.shape() == Shape{ws[0]}, "linear: expected a bias of {}, got {}", ws[0],
         to_string(bias.shape()));
  Shape ys = x.shape();
  ys[-1] = ws[0];
  Tensor y = ctx.empty_like(x.data, ys);
  const bool record = ctx.records(x, w, bias);
  Tensor pre;
  if (record && activation != Activation::none) pre = ctx.empty_like(y);
  ctx.run([&](auto& s) {
    linear_forward({.y = y.view(),
                    .x = x.data.view(),
                    .w = w.data.view(),
                    .epilogue = {bias.data ? bias.data.pointer<float>() : nullptr, activation},
                    .pre_activation = pre ? pre.view() : View{}},
                   s);
  });
  if (!record) return {y};
  auto backward = [activation, xslot = x.slot, wslot = w.slot, bslot = bias.slot](Backward& b) {
    const Tensor &saved_x = b.saved[0], &saved_w = b.saved[1], &saved_pre = b.saved[2];
    Context& c = b.context;
    Tensor dpre = b.doutput;
    if (activation != Activation::none) {
      dpre = c.empty_like(b.doutput);
      c.run([&](auto& s) {
        activation_backward({dpre.view(), std::as_const(b.doutput).view(), saved_pre.view(), activation}, s);
      });
    }
    if (wslot >= 0 || bslot >= 0) {
      Tensor dw = c.empty(saved_w.shape(), Layout::dense);
      Tensor dbias = bslot >= 0 ? c.empty({saved_w.dim(0)}, Layout::dense) : Tensor();
      c.run([&](auto& s) {
        linear_backward_weight(
            {dw.view(), dbias ? dbias.view() : View{}, saved_x.view(), std::as_const(dpre).view()}, s);
      });
      b.add(wslot, dw);
      b.add(bslot, dbias);
    }
    if (xslot >= 0) {
      Tensor dx = c.empty_like(saved_x);
      c.run([&](auto& s) {
        linear_backward_data({dx.view(), std::as_const(dpre).view(), saved_w.view()}, s);
      });
      b.add(xslot, dx);
    }
  };
  return ctx.tape->record("linear", y, {x.data, w.data, pre}, std::move(backward));
}

}  // namespace mg
