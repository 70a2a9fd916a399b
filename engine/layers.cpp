#include "engine/layers.h"

#include <cmath>
#include <numeric>

namespace mg {

namespace {

float fan_in_bound(std::int64_t inputs) { return 1.0f / std::sqrt(static_cast<float>(inputs)); }

Init he_fan_out(std::int64_t outputs, const Conv3dGeometry& g) {
  const auto taps = static_cast<float>(g.kernel[0] * g.kernel[1] * g.kernel[2]);
  return Init::normal(std::sqrt(2.0f / (static_cast<float>(outputs) * taps)));
}

}  // namespace

Linear::Linear(std::int64_t inputs, std::int64_t outputs, const LinearOptions& options)
    : weight_(add_parameter("weight", {outputs, inputs},
                            options.init.value_or(Init::uniform(fan_in_bound(inputs))))) {
  if (!options.bias) return;
  const Init init = options.init ? Init::zeros() : Init::uniform(fan_in_bound(inputs));
  bias_ = &add_parameter("bias", {outputs}, init);
}

Value Linear::forward(Context& ctx, const Value& x, Activation activation) {
  return linear(ctx, x, weight_.on(ctx), bias_ != nullptr ? bias_->on(ctx) : Value(), activation);
}

Conv3d::Conv3d(std::int64_t inputs, std::int64_t outputs, const Conv3dGeometry& geometry)
    : geometry_(geometry),
      weight_(add_parameter("weight",
                            {outputs, inputs, geometry.kernel[0], geometry.kernel[1], geometry.kernel[2]},
                            he_fan_out(outputs, geometry))) {}

Value Conv3d::forward(Context& ctx, const Value& x, const BatchStatistics& statistics) {
  return conv3d(ctx, x, weight_.on(ctx), geometry_, statistics);
}

BatchNorm::BatchNorm(std::int64_t channels, float eps, float momentum)
    : eps_(eps),
      momentum_(momentum),
      weight_(add_parameter("weight", {channels}, Init::ones())),
      bias_(add_parameter("bias", {channels}, Init::zeros())),
      running_mean_(add_buffer("running_mean", {channels}, 0)),
      running_var_(add_buffer("running_var", {channels}, 1)),
      num_batches_tracked_(add_buffer("num_batches_tracked", {}, 0, DType::i64)) {}

Value BatchNorm::forward(Context& ctx, const Value& x, bool relu, const Value& residual) {
  return normalize(ctx, x, relu, residual, {}, {});
}

Value BatchNorm::normalize(Context& ctx, const Value& x, bool relu, const Value& residual, const Tensor& mean,
                           const Tensor& variance) {
  const bool batch_statistics = uses_batch(ctx);
  if (batch_statistics) ++*num_batches_tracked_.as<std::int64_t>();
  return batch_norm(ctx, x, weight_.on(ctx), bias_.on(ctx),
                    {.running_mean = &running_mean_,
                     .running_var = &running_var_,
                     .momentum = momentum_,
                     .eps = eps_,
                     .batch_statistics = batch_statistics,
                     .relu = relu,
                     .mean = mean,
                     .variance = variance},
                    residual);
}

Value BatchNorm::forward(Context& ctx, Conv3d& convolution, const Value& x, bool relu,
                         const Value& residual) {
  if (!uses_batch(ctx)) return forward(ctx, convolution.forward(ctx, x), relu, residual);
  const Shape per_channel = running_mean_.shape();
  Tensor mean = ctx.empty(per_channel, Layout::dense), variance = ctx.empty(per_channel, Layout::dense);
  const Value y = convolution.forward(ctx, x,
                                      {.mean = mean.pointer<float>(),
                                       .variance = variance.pointer<float>(),
                                       .running_mean = running_mean_.pointer<float>(),
                                       .running_variance = running_var_.pointer<float>(),
                                       .momentum = momentum_});
  return normalize(ctx, y, relu, residual, mean, variance);
}

LayerNorm::LayerNorm(std::int64_t channels, float eps)
    : eps_(eps),
      weight_(add_parameter("weight", {channels}, Init::ones())),
      bias_(add_parameter("bias", {channels}, Init::zeros())) {}

Value LayerNorm::forward(Context& ctx, const Value& x) {
  return layer_norm(ctx, x, weight_.on(ctx), bias_.on(ctx), eps_);
}

Embedding::Embedding(std::int64_t rows, std::int64_t dim, Init init)
    : weight_(add_parameter("weight", {rows, dim}, init)) {}

Value Embedding::forward(Context& ctx, std::span<const std::int32_t> indices, Shape out_shape) {
  return gather_rows(ctx, weight_.on(ctx), indices, out_shape);
}

Value reshape(const Value& x, Shape shape) { return {x.data.reshaped(shape), x.slot}; }

Value repeat(Context& ctx, const Value& x, std::int64_t count) {
  const std::int64_t rows = x.data.rows();
  std::vector<std::int32_t> indices(static_cast<std::size_t>(count * rows));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) % rows);
  }
  Shape shape{count};
  for (int i = 0; i < x.shape().rank(); ++i) shape.append(x.shape()[i]);
  return gather_rows(ctx, x, indices, shape);
}

Value first_position(Context& ctx, const Value& x) {
  const Shape shape = x.shape();
  expect(shape.rank() == 3, "first_position: expected [B,L,D], got {}", to_string(shape));
  std::vector<std::int32_t> indices(static_cast<std::size_t>(shape[0]));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    indices[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) * shape[1]);
  }
  return gather_rows(ctx, x, indices, {shape[0], shape[2]});
}

Value masked_mean(Context& ctx, const Value& x, std::span<const std::int32_t> lengths) {
  const Shape shape = x.shape();
  expect(shape.rank() == 3, "masked_mean: expected [B,L,D], got {}", to_string(shape));
  // Attention by a query of zeros weighs all keys alike and leaves the padding out.
  const Value query(ctx.zeros({shape[0], 1, shape[2]}, Layout::pitched, x.data.dtype()));
  const Value mean = attention(ctx, query, Value(x.data), x, {.heads = 1, .key_lengths = lengths});
  return reshape(mean, {shape[0], shape[2]});
}

}  // namespace mg
