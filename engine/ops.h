// The differentiable operations. Each checks its arguments, runs its kernel on the context's stream and, when
// an input needs a gradient, records one node. Shapes are in storage order, last dimension = channels; "rows"
// are all other dimensions. Activations are f32 or bf16, and an output is of its input's type unless said
// otherwise; parameters are f32. Every operation throws mg::Error naming itself, what it expected and what
// came.
#pragma once

#include <span>

#include "engine/context.h"
#include "kernels/contrastive_loss.h"
#include "kernels/conv3d.h"
#include "kernels/epilogue.h"

namespace mg {

// x [N,T,H,W,C], w [K,C,kt,kh,kw] -> [N,To,Ho,Wo,K]. No bias: a BatchNorm follows in all our networks.
// statistics: where those of the output go, for the BatchNorm that follows; empty: they are not wanted.
Value conv3d(Context&, const Value& x, const Value& w, const Conv3dGeometry& geometry,
             const BatchStatistics& statistics = {});

// x [...,C], w [K,C], bias [K] or empty -> activation(x w^T + bias) [...,K].
Value linear(Context&, const Value& x, const Value& w, const Value& bias,
             Activation activation = Activation::none);

struct BatchNormOptions {
  Tensor* running_mean = nullptr;  // [C], updated in place when batch statistics are used
  Tensor* running_var = nullptr;   // [C], unbiased
  float momentum = 0.1f;           // new = (1 - momentum) old + momentum batch
  float eps = 1e-5f;
  bool batch_statistics =
      false;  // normalise by the batch (training) or by the running statistics (evaluation, frozen)
  bool relu = false;
  Tensor mean = {},
         variance = {};  // the batch's [C], when known already: the running ones are not updated then
};
// x [...,C]; weight, bias [C]; residual empty or like x -> relu?(weight * normalised(x) + bias + residual).
// Ioffe and Szegedy 2015.
Value batch_norm(Context&, const Value& x, const Value& weight, const Value& bias, const BatchNormOptions&,
                 const Value& residual = {});

// [N, ..., C] -> [N, C]: the mean over everything between.
Value global_average_pool(Context&, const Value& x);

// x [...,C]; weight, bias [C] -> normalised over C. Ba et al. 2016.
Value layer_norm(Context&, const Value& x, const Value& weight, const Value& bias, float eps);

// The same values in another element type.
Value cast(Context&, const Value& x, DType dtype);

Value activate(Context&, const Value& x, Activation activation);

struct AttentionOptions {
  int heads = 1;
  float scale = 0;  // 0: 1/sqrt(head dimension)
  std::span<const std::int32_t>
      key_lengths;    // [B], or empty: all keys. Keys from the length on are padding. Each >= 1
  float dropout = 0;  // of attention weights, when the context is training
  std::uint32_t site = 0;
};
// Scaled dot-product attention (Vaswani et al. 2017). q [B,Lq,H*D], k and v [B,Lk,H*D] -> [B,Lq,H*D]; self or
// cross.
Value attention(Context&, const Value& q, const Value& k, const Value& v, const AttentionOptions&);

// out[i] = x[indices[i]], rows of x [..., C], in the context's type of activations; leading * C is the
// output's shape. Embedding lookup, CLS token, broadcasting of rows. The gradient sums over equal indices in
// a fixed order.
Value gather_rows(Context&, const Value& x, std::span<const std::int32_t> indices, Shape out_shape);

// Zeroes elements with probability p and scales the rest by 1/(1-p), when the context is training. The first
// dimension counts samples: element numbers start at 0 in each, so the result does not depend on how a batch
// is split.
Value dropout(Context&, const Value& x, float p, std::uint32_t site);

Value add(Context&, const Value& a, const Value& b);  // same shape
Value scale(Context&, const Value& x, float factor);
// x [...,C] * factor, one a channel [C] or one for all [1].
Value scale_channels(Context&, const Value& x, const Value& factor);
// x [...,C] / max(||row||, eps), in f32.
Value l2_normalize(Context&, const Value& x, float eps = 1e-12f);

// Mean over rows of -sum_k target[r,k] log softmax(logits[r])_k. logits, targets [R,K]; targets are
// probabilities (smoothed or mixed labels), in the host's memory, and get no gradient. -> scalar [1], f32.
Value cross_entropy(Context&, const Value& logits, const Tensor& targets);

struct ContrastiveOptions {
  float temperature = 0.05f;
  float label_scale = 10;  // target distribution = softmax(label_scale * positives)
  // l1: positives divided by their sum over the pairs; every row and column must have one above 0.
  ContrastiveTarget target = ContrastiveTarget::softmax;
};
// The symmetric KL contrastive loss over clip-text similarity (paper eq. 5-7; the target as in the authors'
// KLLoss). v [B,D]; t [K,D], or [B,K,D] when texts are prompted by each clip; both already normalised as
// wanted. S[i,k] = v_i . t_k / temperature. positives [B,K] in [0,1], in the host's memory: how much text k
// belongs to clip i. counts [K]: how many of the B pairs carry text k (sum = B); a text encoded once stands
// for all of them. Loss = 1/2 (mean_i KL(target_i || softmax_j S_i) + mean_j KL(target_j || softmax_i S_j))
// over the B x B pairs. -> scalar [1].
Value contrastive_loss(Context&, const Value& v, const Value& t, const Tensor& positives,
                       std::span<const std::int32_t> counts, const ContrastiveOptions&);

}  // namespace mg
