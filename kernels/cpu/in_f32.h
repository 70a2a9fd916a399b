// bf16 on the processor, by conversion: a kernel that is given bf16 views runs on fp32 copies of them, and
// what it writes is rounded back. The memory of a step is halved, its arithmetic stays fp32. Matrix products
// round their weights too, as those of a GPU do, so that both devices compute the same.
#pragma once

#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/batch_norm.h"
#include "kernels/contrastive_loss.h"
#include "kernels/conv3d.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/gather_rows.h"
#include "kernels/layer_norm.h"
#include "kernels/linear.h"
#include "kernels/lstm_cell.h"
#include "kernels/pool.h"

namespace mg {

// The views of an operation's arguments: f takes each, View where it is written and ConstView where it is
// read. Those that are fp32 by definition are left out.
template <class F>
void for_each_view(AdamWStep&, F) {}
template <class F>
void for_each_view(AttentionProblem& a, F f) {
  f(a.q), f(a.k), f(a.v);
}
template <class F>
void for_each_view(AttentionForward& a, F f) {
  for_each_view(a.problem, f);
  f(a.y);
}
template <class F>
void for_each_view(AttentionBackward& a, F f) {
  for_each_view(a.problem, f);
  f(a.dq), f(a.dk), f(a.dv), f(a.dy), f(a.y);
}
template <class F>
void for_each_view(BatchNormStatistics& a, F f) {
  f(a.x);
}
template <class F>
void for_each_view(BatchNormForward& a, F f) {
  f(a.y), f(a.x), f(a.residual);
}
template <class F>
void for_each_view(BatchNormBackward& a, F f) {
  f(a.dx), f(a.dresidual), f(a.dy), f(a.x), f(a.y);
}
template <class F>
void for_each_view(ContrastiveLossForward&, F) {}
template <class F>
void for_each_view(ContrastiveLossBackward&, F) {}
template <class F>
void for_each_view(Conv3dForward& a, F f) {
  f(a.y), f(a.x), f(a.w), f(a.epilogue.residual);
}
template <class F>
void for_each_view(Conv3dBackwardData& a, F f) {
  f(a.dx), f(a.dy), f(a.w);
}
template <class F>
void for_each_view(Conv3dBackwardWeight& a, F f) {
  f(a.x), f(a.dy);
}
template <class F>
void for_each_view(CrossEntropyForward& a, F f) {
  f(a.logits);
}
template <class F>
void for_each_view(CrossEntropyBackward& a, F f) {
  f(a.dlogits), f(a.logits);
}
template <class F>
void for_each_view(AddForward& a, F f) {
  f(a.y), f(a.a), f(a.b);
}
template <class F>
void for_each_view(ScaleForward& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(ScaleChannelsForward& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(ScaleChannelsBackwardFactor& a, F f) {
  f(a.dy), f(a.x);
}
template <class F>
void for_each_view(ActivationForward& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(ActivationBackward& a, F f) {
  f(a.dx), f(a.dy), f(a.x);
}
template <class F>
void for_each_view(Dropout& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(GatherRowsForward& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(GatherRowsBackward& a, F f) {
  f(a.dx), f(a.dy);
}
template <class F>
void for_each_view(LayerNormForward& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(LayerNormBackward& a, F f) {
  f(a.dx), f(a.dy), f(a.x);
}
template <class F>
void for_each_view(L2NormalizeForward& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(L2NormalizeBackward& a, F f) {
  f(a.dx), f(a.dy), f(a.x);
}
template <class F>
void for_each_view(LinearForward& a, F f) {
  f(a.y), f(a.pre_activation), f(a.x), f(a.w), f(a.epilogue.residual);
}
template <class F>
void for_each_view(LinearBackwardData& a, F f) {
  f(a.dx), f(a.dy), f(a.w);
}
template <class F>
void for_each_view(LinearBackwardWeight& a, F f) {
  f(a.x), f(a.dy);
}
template <class F>
void for_each_view(LstmCellForward& a, F f) {
  f(a.h), f(a.gates);
}
template <class F>
void for_each_view(LstmCellBackward& a, F f) {
  f(a.dgates), f(a.dh), f(a.gates);
}
template <class F>
void for_each_view(GlobalAveragePoolForward& a, F f) {
  f(a.y), f(a.x);
}
template <class F>
void for_each_view(GlobalAveragePoolBackward& a, F f) {
  f(a.dx), f(a.dy);
}

// fp32 copies of bf16 views, and the way back. They live as long as this object.
class F32Copies {
 public:
  explicit F32Copies(CpuStream& stream) : stream_(stream) {}
  void take(ConstView& view);
  void take(View& view);
  // A copy of fp32 weights whose values are those of bf16: what a product of bf16 operands reads.
  void take_rounded(ConstView& weights);
  void round_outputs();  // into the bf16 views taken for writing

 private:
  CpuStream& stream_;
  std::vector<std::shared_ptr<float>> copies_;
  std::vector<std::pair<View, View>> outputs_;  // bf16, fp32
};

// Calls kernel(args), or with fp32 copies of bf16 views.
template <class Args, class Kernel>
void in_f32(const Args& args, CpuStream& stream, Kernel kernel) {
  Args copy = args;
  bool any = false;
  for_each_view(copy, [&](const auto& view) { any = any || (view && view.dtype == DType::bf16); });
  if (!any) {
    kernel(args);
    return;
  }
  F32Copies copies(stream);
  for_each_view(copy, [&](auto& view) {
    if (view && view.dtype == DType::bf16) copies.take(view);
  });
  if constexpr (requires { copy.w; }) {
    if (copy.w.dtype == DType::f32 && args.w.dtype == DType::f32) copies.take_rounded(copy.w);
  }
  if constexpr (requires { copy.y, copy.statistics; }) copy.statistics = {};  // they are of y as stored
  kernel(copy);
  copies.round_outputs();
  if constexpr (requires { copy.y, copy.statistics; }) {
    if (args.statistics.mean != nullptr) batch_norm_statistics({args.y, args.statistics}, stream);
  }
}

}  // namespace mg
