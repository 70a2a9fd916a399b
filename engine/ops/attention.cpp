#include "kernels/attention.h"

#include <cmath>

#include "engine/ops.h"

namespace mg {

Value attention(Context& ctx, const Value& q, const Value& k, const Value& v,
                const AttentionOptions& options) {
  const Shape qs = q.shape(), ks = k.shape();
  expect(qs.rank() == 3 && ks.rank() == 3 && v.shape() == ks && qs[0] == ks[0] && qs[2] == ks[2],
         "attention: expected q [B,Lq,H*D] and k, v [B,Lk,H*D], got {}, {} and {}", to_string(qs),
         to_string(ks), to_string(v.shape()));
  expect(options.heads > 0 && qs[2] % options.heads == 0,
         "attention: {} channels do not divide into {} heads", qs[2], options.heads);
  Tensor lengths;
  if (!options.key_lengths.empty()) {
    expect(static_cast<std::int64_t>(options.key_lengths.size()) == ks[0],
           "attention: {} key lengths for a batch of {}", options.key_lengths.size(), ks[0]);
    for (const std::int32_t length : options.key_lengths) {
      expect(length >= 1 && length <= ks[1], "attention: key length {} is outside [1, {}]", length, ks[1]);
    }
    lengths = ctx.upload(options.key_lengths);
  }
  AttentionProblem problem{.q = q.data.view(),
                           .k = k.data.view(),
                           .v = v.data.view(),
                           .heads = options.heads,
                           .scale = options.scale,
                           .key_lengths = lengths ? lengths.pointer<std::int32_t>() : nullptr,
                           .dropout = ctx.training ? options.dropout : 0.0f,
                           .key = ctx.random(options.site),
                           .sample_offset = ctx.sample_offset};
  const std::int64_t head_dim = qs[2] / options.heads;
  if (problem.scale == 0) problem.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  Tensor y = ctx.empty_like(q.data);
  Tensor lse = ctx.empty({qs[0] * options.heads * qs[1]}, Layout::dense);
  ctx.run([&](auto& s) { attention_forward({problem, y.view(), lse.pointer<float>()}, s); });
  if (!ctx.records(q, k, v)) return {y};
  auto backward = [problem, qslot = q.slot, kslot = k.slot, vslot = v.slot](Backward& b) {
    Tensor dq = b.context.empty_like(b.saved[0]);
    Tensor dk = b.context.empty_like(b.saved[1]), dv = b.context.empty_like(b.saved[2]);
    b.context.run([&](auto& s) {
      attention_backward({problem, dq.view(), dk.view(), dv.view(), std::as_const(b.doutput).view(),
                          std::as_const(b.saved[3]).view(), b.saved[4].pointer<float>()},
                         s);
    });
    b.add(qslot, dq);
    b.add(kslot, dk);
    b.add(vslot, dv);
  };
  // The problem's views point into saved tensors, which the node keeps alive.
  return ctx.tape->record("attention", y, {q.data, k.data, v.data, y, lse, lengths}, std::move(backward));
}

}  // namespace mg
