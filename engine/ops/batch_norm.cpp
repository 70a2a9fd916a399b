#include "kernels/batch_norm.h"

#include "engine/ops.h"

namespace mg {

Value batch_norm(Context& ctx, const Value& x, const Value& weight, const Value& bias,
                 const BatchNormOptions& options, const Value& residual) {
  const Shape per_channel{x.shape().channels()};
  expect(weight.shape() == per_channel && bias.shape() == per_channel,
         "batch_norm: expected weight and bias {}, got {} and {}", to_string(per_channel),
         to_string(weight.shape()), to_string(bias.shape()));
  expect(!residual.data || residual.shape() == x.shape(), "batch_norm: expected a residual {}, got {}",
         to_string(x.shape()), to_string(residual.shape()));
  expect(options.running_mean != nullptr && options.running_var != nullptr,
         "batch_norm: needs running statistics");
  Tensor mean = *options.running_mean, variance = *options.running_var;
  if (options.batch_statistics && options.mean) {
    mean = options.mean;
    variance = options.variance;
  } else if (options.batch_statistics) {
    mean = ctx.empty(per_channel, Layout::dense);
    variance = ctx.empty(per_channel, Layout::dense);
    ctx.run([&](auto& s) {
      batch_norm_statistics(
          {x.data.view(),
           {mean.pointer<float>(), variance.pointer<float>(), options.running_mean->pointer<float>(),
            options.running_var->pointer<float>(), options.momentum}},
          s);
    });
  }
  Tensor y = ctx.empty_like(x.data);
  ctx.run([&](auto& s) {
    batch_norm_forward({y.view(), x.data.view(), mean.pointer<float>(), variance.pointer<float>(),
                        weight.data.pointer<float>(), bias.data.pointer<float>(), options.eps,
                        residual.data ? residual.data.view() : ConstView{}, options.relu},
                       s);
  });
  if (!ctx.records(x, weight, bias, residual)) return {y};
  auto backward = [eps = options.eps, batch = options.batch_statistics, xslot = x.slot, wslot = weight.slot,
                   bslot = bias.slot, rslot = residual.slot](Backward& b) {
    const Tensor &saved_x = b.saved[0], &saved_weight = b.saved[1], &saved_y = b.saved[4];
    Context& c = b.context;
    const bool sums = wslot >= 0 || bslot >= 0;
    Tensor dx = xslot >= 0 ? c.empty_like(saved_x) : Tensor();
    Tensor dweight = sums ? c.empty(saved_weight.shape(), Layout::dense) : Tensor();
    Tensor dbias = sums ? c.empty(saved_weight.shape(), Layout::dense) : Tensor();
    // Without ReLU the residual's gradient is the output's.
    Tensor dresidual = rslot < 0 ? Tensor() : saved_y ? c.empty_like(saved_x) : b.doutput;
    BatchNormBackward args{.dx = dx ? dx.view() : View{},
                           .dresidual = dresidual && saved_y ? dresidual.view() : View{},
                           .dweight = sums ? dweight.pointer<float>() : nullptr,
                           .dbias = sums ? dbias.pointer<float>() : nullptr,
                           .dy = std::as_const(b.doutput).view(),
                           .x = saved_x.view(),
                           .y = saved_y ? saved_y.view() : ConstView{},
                           .mean = b.saved[2].pointer<float>(),
                           .variance = b.saved[3].pointer<float>(),
                           .weight = saved_weight.pointer<float>(),
                           .eps = eps,
                           .batch_statistics = batch};
    c.run([&](auto& s) { batch_norm_backward(args, s); });
    b.add(xslot, dx);
    b.add(wslot, dweight);
    b.add(bslot, dbias);
    b.add(rslot, dresidual);
  };
  return ctx.tape->record("batch_norm", y, {x.data, weight.data, mean, variance, options.relu ? y : Tensor()},
                          std::move(backward));
}

}  // namespace mg
