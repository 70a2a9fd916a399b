// Layer and L2 normalisation.
#include "engine/ops.h"
#include "kernels/layer_norm.h"

namespace mg {

Value layer_norm(Context& ctx, const Value& x, const Value& weight, const Value& bias, float eps) {
  const Shape per_channel{x.shape().channels()};
  expect(weight.shape() == per_channel && bias.shape() == per_channel,
         "layer_norm: expected weight and bias {}, got {} and {}", to_string(per_channel),
         to_string(weight.shape()), to_string(bias.shape()));
  Tensor y = ctx.empty_like(x.data);
  Tensor mean = ctx.empty({x.data.rows()}, Layout::dense),
         inverse_std = ctx.empty({x.data.rows()}, Layout::dense);
  ctx.run([&](auto& s) {
    layer_norm_forward({y.view(), x.data.view(), weight.data.pointer<float>(), bias.data.pointer<float>(),
                        eps, mean.pointer<float>(), inverse_std.pointer<float>()},
                       s);
  });
  if (!ctx.records(x, weight, bias)) return {y};
  auto backward = [xslot = x.slot, wslot = weight.slot, bslot = bias.slot](Backward& b) {
    const Tensor &saved_x = b.saved[0], &saved_weight = b.saved[1];
    Tensor dx = b.context.empty_like(saved_x);
    Tensor dweight = b.context.empty(saved_weight.shape(), Layout::dense);
    Tensor dbias = b.context.empty(saved_weight.shape(), Layout::dense);
    b.context.run([&](auto& s) {
      layer_norm_backward({dx.view(), dweight.pointer<float>(), dbias.pointer<float>(),
                           std::as_const(b.doutput).view(), saved_x.view(), saved_weight.pointer<float>(),
                           b.saved[2].pointer<float>(), b.saved[3].pointer<float>()},
                          s);
    });
    b.add(xslot, dx);
    b.add(wslot, dweight);
    b.add(bslot, dbias);
  };
  return ctx.tape->record("layer_norm", y, {x.data, weight.data, mean, inverse_std}, std::move(backward));
}

Value l2_normalize(Context& ctx, const Value& x, float eps) {
  Tensor y = ctx.empty(x.shape());  // fp32: what is compared by its products stays exact
  ctx.run([&](auto& s) { l2_normalize_forward({y.view(), x.data.view(), eps}, s); });
  if (!ctx.records(x)) return {y};
  return ctx.tape->record("l2_normalize", y, {x.data}, [eps, slot = x.slot](Backward& b) {
    Tensor dx = b.context.empty_like(b.saved[0]);
    b.context.run([&](auto& s) {
      l2_normalize_backward(
          {dx.view(), std::as_const(b.doutput).view(), std::as_const(b.saved[0]).view(), eps}, s);
    });
    b.add(slot, dx);
  });
}

}  // namespace mg
