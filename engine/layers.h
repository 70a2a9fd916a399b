// Modules over the operations of engine/ops.h, with PyTorch's parameter names. They start as PyTorch's do
// unless told otherwise.
#pragma once

#include <optional>
#include <string>

#include "engine/module.h"
#include "engine/ops.h"

namespace mg {

struct LinearOptions {
  bool bias = true;
  // Empty: nn.Linear's start, weight and bias uniform in +-1/sqrt(inputs). Otherwise the weight starts so and
  // the bias at zero.
  std::optional<Init> init;
};

// weight [outputs, inputs], bias [outputs].
class Linear : public Module {
 public:
  Linear(std::int64_t inputs, std::int64_t outputs, const LinearOptions& options = {});
  // x [..., inputs] -> activation(x W^T + b) [..., outputs].
  Value forward(Context& ctx, const Value& x, Activation activation = Activation::none);

 private:
  Parameter& weight_;
  Parameter* bias_ = nullptr;
};

// weight [outputs, inputs, kt, kh, kw], no bias. Starts as torchvision's video networks do: normal with
// variance 2 / (outputs * kt * kh * kw) (He et al. 2015, fan out).
class Conv3d : public Module {
 public:
  Conv3d(std::int64_t inputs, std::int64_t outputs, const Conv3dGeometry& geometry);
  // x [N,T,H,W,inputs] -> [N,To,Ho,Wo,outputs]. statistics: where those of the output go; empty: not wanted.
  Value forward(Context& ctx, const Value& x, const BatchStatistics& statistics = {});

 private:
  Conv3dGeometry geometry_;
  Parameter& weight_;
};

// weight, bias, running_mean, running_var [channels]; num_batches_tracked, a scalar. The batch's statistics
// are used, and the running ones updated, only when the context is training and the module is not frozen.
class BatchNorm : public Module {
 public:
  explicit BatchNorm(std::int64_t channels, float eps = 1e-5f, float momentum = 0.1f);
  // x [..., channels] -> relu?(normalised x + residual); residual is empty or shaped like x.
  Value forward(Context& ctx, const Value& x, bool relu = false, const Value& residual = {});
  // The same of a convolution's output, whose statistics are taken while it is written.
  Value forward(Context& ctx, Conv3d& convolution, const Value& x, bool relu = false,
                const Value& residual = {});

 private:
  bool uses_batch(const Context& ctx) const { return ctx.training && !frozen(); }
  // mean and variance: the batch's, when known already.
  Value normalize(Context& ctx, const Value& x, bool relu, const Value& residual, const Tensor& mean,
                  const Tensor& variance);

  float eps_, momentum_;
  Parameter &weight_, &bias_;
  Tensor &running_mean_, &running_var_, &num_batches_tracked_;
};

// weight, bias [channels]. The statistics are those of each row.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(std::int64_t channels, float eps = 1e-5f);
  Value forward(Context& ctx, const Value& x);

 private:
  float eps_;
  Parameter &weight_, &bias_;
};

// weight [rows, dim].
class Embedding : public Module {
 public:
  Embedding(std::int64_t rows, std::int64_t dim, Init init = Init::normal(1));
  std::int64_t rows() const { return weight_.value.dim(0); }
  // out_shape's last dimension is dim; its other dimensions multiply to the number of indices.
  Value forward(Context& ctx, std::span<const std::int32_t> indices, Shape out_shape);

 private:
  Parameter& weight_;
};

// The same values under another shape with the same last dimension.
Value reshape(const Value& x, Shape shape);

// x [R..., C] repeated as a whole: [count, R..., C].
Value repeat(Context& ctx, const Value& x, std::int64_t count);

// The first position of every sequence: [B, L, D] -> [B, D].
Value first_position(Context& ctx, const Value& x);

// The mean over the first lengths[b] positions of every sequence: [B, L, D] -> [B, D].
Value masked_mean(Context& ctx, const Value& x, std::span<const std::int32_t> lengths);

}  // namespace mg
