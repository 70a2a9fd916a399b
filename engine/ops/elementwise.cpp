// Element-wise operations, pooling and gathering of rows.
#include "kernels/elementwise.h"

#include <algorithm>
#include <numeric>

#include "engine/ops.h"
#include "kernels/gather_rows.h"
#include "kernels/pool.h"

namespace mg {

Value add(Context& ctx, const Value& a, const Value& b) {
  expect(a.shape() == b.shape() && a.data.dtype() == b.data.dtype(), "add: {} {} and {} {} differ",
         to_string(a.data.dtype()), to_string(a.shape()), to_string(b.data.dtype()), to_string(b.shape()));
  Tensor y = ctx.empty_like(a.data);
  ctx.run([&](auto& s) { add_forward({y.view(), a.data.view(), b.data.view()}, s); });
  if (!ctx.records(a, b)) return {y};
  return ctx.tape->record("add", y, {}, [aslot = a.slot, bslot = b.slot](Backward& pass) {
    pass.add(aslot, pass.doutput);
    pass.add(bslot, pass.doutput);
  });
}

Value scale(Context& ctx, const Value& x, float factor) {
  Tensor y = ctx.empty_like(x.data);
  ctx.run([&](auto& s) { scale_forward({y.view(), x.data.view(), factor}, s); });
  if (!ctx.records(x)) return {y};
  return ctx.tape->record("scale", y, {}, [factor, slot = x.slot](Backward& b) {
    Tensor dx = b.context.empty_like(b.doutput);
    b.context.run([&](auto& s) { scale_forward({dx.view(), std::as_const(b.doutput).view(), factor}, s); });
    b.add(slot, dx);
  });
}

Value scale_channels(Context& ctx, const Value& x, const Value& factor) {
  const bool one_factor = factor.shape() == Shape{1};
  expect(one_factor || factor.shape() == Shape{x.shape().channels()},
         "scale_channels: expected 1 or {} factors, got {}", x.shape().channels(), to_string(factor.shape()));
  Tensor y = ctx.empty_like(x.data);
  ctx.run([&](auto& s) {
    scale_channels_forward({y.view(), x.data.view(), factor.data.pointer<float>(), one_factor}, s);
  });
  if (!ctx.records(x, factor)) return {y};
  auto backward = [xslot = x.slot, fslot = factor.slot, one_factor](Backward& b) {
    const ConstView dy = std::as_const(b.doutput).view();
    Tensor dx = b.context.empty_like(b.doutput);
    Tensor dfactor = b.context.empty(b.saved[1].shape(), Layout::dense);
    b.context.run([&](auto& s) {
      scale_channels_forward({dx.view(), dy, b.saved[1].pointer<float>(), one_factor}, s);
      scale_channels_backward_factor(
          {dfactor.pointer<float>(), dy, std::as_const(b.saved[0]).view(), one_factor}, s);
    });
    b.add(xslot, dx);
    b.add(fslot, dfactor);
  };
  return ctx.tape->record("scale_channels", y, {x.data, factor.data}, std::move(backward));
}

Value cast(Context& ctx, const Value& x, DType dtype) {
  if (x.data.dtype() == dtype) return x;
  Tensor y = ctx.empty(x.shape(), Layout::pitched, dtype);
  ctx.run([&](auto& s) { scale_forward({y.view(), x.data.view(), 1}, s); });
  if (!ctx.records(x)) return {y};
  return ctx.tape->record("cast", y, {}, [type = x.data.dtype(), slot = x.slot](Backward& b) {
    Tensor dx = b.context.empty(b.doutput.shape(), Layout::pitched, type);
    b.context.run([&](auto& s) { scale_forward({dx.view(), std::as_const(b.doutput).view(), 1}, s); });
    b.add(slot, dx);
  });
}

Value activate(Context& ctx, const Value& x, Activation activation) {
  Tensor y = ctx.empty_like(x.data);
  ctx.run([&](auto& s) { activation_forward({y.view(), x.data.view(), activation}, s); });
  if (!ctx.records(x)) return {y};
  return ctx.tape->record("activate", y, {x.data}, [activation, slot = x.slot](Backward& b) {
    Tensor dx = b.context.empty_like(b.doutput);
    b.context.run([&](auto& s) {
      activation_backward(
          {dx.view(), std::as_const(b.doutput).view(), std::as_const(b.saved[0]).view(), activation}, s);
    });
    b.add(slot, dx);
  });
}

Value dropout(Context& ctx, const Value& x, float p, std::uint32_t site) {
  expect(p >= 0 && p < 1, "dropout: expected a probability in [0, 1), got {}", p);
  if (!ctx.training || p == 0) return x;
  const std::int64_t per_sample = x.data.rows() / (x.shape().rank() > 1 ? x.data.dim(0) : 1);
  Tensor y = ctx.empty_like(x.data);
  Dropout args{y.view(), x.data.view(), {p, ctx.random(site), ctx.sample_offset, per_sample}};
  ctx.run([&](auto& s) { dropout(args, s); });
  if (!ctx.records(x)) return {y};
  return ctx.tape->record("dropout", y, {}, [args, slot = x.slot](Backward& b) {
    Tensor dx = b.context.empty_like(b.doutput);
    Dropout same = args;
    same.y = dx.view();
    same.x = std::as_const(b.doutput).view();
    b.context.run([&](auto& s) { dropout(same, s); });
    b.add(slot, dx);
  });
}

Value global_average_pool(Context& ctx, const Value& x) {
  expect(x.shape().rank() >= 3, "global_average_pool: expected [N, ..., C], got {}", to_string(x.shape()));
  Tensor y = ctx.empty_like(x.data, {x.data.dim(0), x.data.channels()});
  ctx.run([&](auto& s) { global_average_pool_forward({y.view(), x.data.view()}, s); });
  if (!ctx.records(x)) return {y};
  return ctx.tape->record("global_average_pool", y, {}, [shape = x.shape(), slot = x.slot](Backward& b) {
    Tensor dx = b.context.empty_like(b.doutput, shape);
    b.context.run([&](auto& s) {
      global_average_pool_backward({dx.view(), std::as_const(b.doutput).view()}, s);
    });
    b.add(slot, dx);
  });
}

namespace {

// The kernel's arrays in one tensor: rows, starts, order.
struct HeldSegments {
  Tensor storage;
  std::int64_t count;

  RowSegments view() const {
    const auto* p = storage.pointer<std::int32_t>();
    return {p, p + count, p + 2 * count + 1, count};
  }
};

HeldSegments segments_of(Context& ctx, std::span<const std::int32_t> indices) {
  std::vector<std::int32_t> order(indices.size());
  std::iota(order.begin(), order.end(), 0);
  const auto index = [&](std::int32_t i) { return indices[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return index(a) < index(b); });
  std::vector<std::int32_t> all, starts;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && index(order[i]) == index(order[i - 1])) continue;
    all.push_back(index(order[i]));
    starts.push_back(static_cast<std::int32_t>(i));
  }
  const auto count = static_cast<std::int64_t>(all.size());
  starts.push_back(static_cast<std::int32_t>(order.size()));
  all.insert(all.end(), starts.begin(), starts.end());
  all.insert(all.end(), order.begin(), order.end());
  return {ctx.upload(all), count};
}

}  // namespace

Value gather_rows(Context& ctx, const Value& x, std::span<const std::int32_t> indices, Shape out_shape) {
  const auto count = static_cast<std::int64_t>(indices.size());
  expect(out_shape.rows() == count && out_shape.channels() == x.data.channels(),
         "gather_rows: {} indices of rows of {} do not make {}", count, to_string(x.shape()),
         to_string(out_shape));
  for (const std::int32_t index : indices) {
    expect(index >= 0 && index < x.data.rows(), "gather_rows: index {} is outside [0, {})", index,
           x.data.rows());
  }
  const Tensor held = ctx.upload(indices);
  Tensor y = ctx.empty(out_shape, Layout::pitched, ctx.activations);
  ctx.run([&](auto& s) { gather_rows_forward({y.view(), x.data.view(), held.pointer<std::int32_t>()}, s); });
  if (!ctx.records(x)) return {y};
  const HeldSegments segments = segments_of(ctx, indices);
  const Layout layout = x.data.dense() ? Layout::dense : Layout::pitched;
  auto backward = [shape = x.shape(), type = x.data.dtype(), layout, count = segments.count,
                   slot = x.slot](Backward& b) {
    Tensor dx = b.context.empty(shape, layout, type);
    const HeldSegments saved{b.saved[0], count};
    b.context.run([&](auto& s) {
      gather_rows_backward({dx.view(), std::as_const(b.doutput).view(), saved.view()}, s);
    });
    b.add(slot, dx);
  };
  return ctx.tape->record("gather_rows", y, {segments.storage}, std::move(backward));
}

}  // namespace mg
