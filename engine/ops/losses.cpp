// Cross-entropy and the contrastive loss: both end in a scalar.
#include "engine/ops.h"
#include "kernels/contrastive_loss.h"
#include "kernels/cross_entropy.h"

namespace mg {

Value cross_entropy(Context& ctx, const Value& logits, const Tensor& target_shares) {
  expect(logits.shape().rank() == 2 && target_shares.shape() == logits.shape(),
         "cross_entropy: expected logits and targets [R, K], got {} and {}", to_string(logits.shape()),
         to_string(target_shares.shape()));
  const Tensor targets = ctx.to_device(target_shares);
  Tensor loss = ctx.empty({1}, Layout::dense), lse = ctx.empty({logits.data.rows()}, Layout::dense);
  ctx.run([&](auto& s) {
    cross_entropy_forward({loss.pointer<float>(), logits.data.view(), targets.view(), lse.pointer<float>()},
                          s);
  });
  if (!ctx.records(logits)) return {loss};
  return ctx.tape->record(
      "cross_entropy", loss, {logits.data, targets, lse}, [slot = logits.slot](Backward& b) {
        Tensor dlogits = b.context.empty_like(b.saved[0]);
        b.context.run([&](auto& s) {
          cross_entropy_backward(
              {dlogits.view(), std::as_const(b.saved[0]).view(), std::as_const(b.saved[1]).view(),
               b.saved[2].pointer<float>(), b.doutput.pointer<float>()},
              s);
        });
        b.add(slot, dlogits);
      });
}

namespace {

// Rows and columns that l1 cannot make a distribution of.
void check_l1(const Tensor& positives) {
  for (const bool rows : {true, false}) {
    const std::int64_t lines = rows ? positives.rows() : positives.channels();
    const std::int64_t length = rows ? positives.channels() : positives.rows();
    for (std::int64_t a = 0; a < lines; ++a) {
      bool any = false;
      for (std::int64_t b = 0; b < length; ++b) {
        const float positive = rows ? positives.at(a, b) : positives.at(b, a);
        expect(positive >= 0, "contrastive_loss: expected positives of at least 0, got {}", positive);
        any = any || positive > 0;
      }
      expect(any, "contrastive_loss: l1 targets need a positive in every row and column, {} {} has none",
             rows ? "row" : "column", a);
    }
  }
}

// The four vectors of log-sum-exps in one tensor: row and target row [B], column and target column [K].
ContrastiveNormalisers normalisers(Tensor& storage, std::int64_t clips, std::int64_t texts) {
  float* p = storage.pointer<float>();
  return {p, p + 2 * clips, p + clips, p + 2 * clips + texts};
}

}  // namespace

Value contrastive_loss(Context& ctx, const Value& clip_values, const Value& text_values,
                       const Tensor& belonging, std::span<const std::int32_t> counts,
                       const ContrastiveOptions& options) {
  const Value v = cast(ctx, clip_values, DType::f32), t = cast(ctx, text_values, DType::f32);
  const Shape vs = v.shape(), ts = t.shape(), ps = belonging.shape();
  const std::int64_t clips = vs[0], texts = ts.rank() >= 2 ? ts[-2] : 0;
  expect(vs.rank() == 2 && (ts == Shape{texts, vs[1]} || ts == Shape{clips, texts, vs[1]}),
         "contrastive_loss: expected v [B,D] and t [K,D] or [B,K,D], got {} and {}", to_string(vs),
         to_string(ts));
  expect(ps == Shape{clips, texts}, "contrastive_loss: expected positives [{}, {}], got {}", clips, texts,
         to_string(ps));
  std::int64_t total = 0;
  for (std::int32_t n : counts) total += n;
  expect(static_cast<std::int64_t>(counts.size()) == texts && total == clips,
         "contrastive_loss: expected {} counts with the sum {}, got {} with the sum {}", texts, clips,
         counts.size(), total);
  expect(options.temperature > 0, "contrastive_loss: expected a temperature above 0, got {}",
         options.temperature);
  if (options.target == ContrastiveTarget::l1) check_l1(belonging);
  const Tensor positives = ctx.to_device(belonging), held = ctx.upload(counts);
  Tensor loss = ctx.empty({1}, Layout::dense), norms = ctx.empty({2 * (clips + texts)}, Layout::dense);
  ContrastiveProblem problem{
      v.data.view(),       t.data.view(),       positives.view(), held.pointer<std::int32_t>(),
      options.temperature, options.label_scale, options.target};
  ctx.run([&](auto& s) {
    contrastive_loss_forward({problem, loss.pointer<float>(), normalisers(norms, clips, texts)}, s);
  });
  if (!ctx.records(v, t)) return {loss};
  auto backward = [problem, clips, texts, vslot = v.slot, tslot = t.slot](Backward& b) {
    Tensor dv = b.context.empty(b.saved[0].shape()), dt = b.context.empty(b.saved[1].shape());
    b.context.run([&](auto& s) {
      contrastive_loss_backward(
          {problem, dv.view(), dt.view(), normalisers(b.saved[4], clips, texts), b.doutput.pointer<float>()},
          s);
    });
    b.add(vslot, dv);
    b.add(tslot, dt);
  };
  // The problem's views point into saved tensors, which the node keeps alive.
  return ctx.tape->record("contrastive_loss", loss, {v.data, t.data, positives, held, norms},
                          std::move(backward));
}

}  // namespace mg
