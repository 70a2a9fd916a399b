#include "kernels/contrastive_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {

// The B x K similarities and targets of a problem, computed when asked for.
struct Pairs {
  const ContrastiveProblem& p;
  std::int64_t clips, texts, dim;
  bool prompted;

  explicit Pairs(const ContrastiveProblem& problem)
      : p(problem),
        clips(problem.v.rows()),
        texts(problem.positives.channels()),
        dim(problem.v.channels()),
        prompted(problem.t.shape.rank() == 3) {}

  const float* v(std::int64_t i) const { return p.v.f32() + i * p.v.pitch; }
  std::int64_t text_row(std::int64_t i, std::int64_t k) const { return prompted ? i * texts + k : k; }
  const float* t(std::int64_t i, std::int64_t k) const { return p.t.f32() + text_row(i, k) * p.t.pitch; }
  double similarity(std::int64_t i, std::int64_t k) const {
    const float *a = v(i), *b = t(i, k);
    Vec sum{};
    for_each_vector(dim, [&](std::int64_t d, auto lanes) { sum += lanes.load(a + d) * lanes.load(b + d); });
    return static_cast<double>(sum_lanes(sum)) / static_cast<double>(p.temperature);
  }
  // What the target is the softmax of: minus infinity where l1's is 0.
  double label(std::int64_t i, std::int64_t k) const {
    const auto positive = static_cast<double>(p.positives.f32()[i * p.positives.pitch + k]);
    return p.target == ContrastiveTarget::l1 ? std::log(positive)
                                             : static_cast<double>(p.label_scale) * positive;
  }
};

// log of the sum over [0, count) of weight(n) * exp(value(n)).
template <class Value, class Weight>
double log_sum_exp(std::int64_t count, Value value, Weight weight) {
  double largest = -std::numeric_limits<double>::infinity();
  for (std::int64_t n = 0; n < count; ++n) {
    if (weight(n) > 0) largest = std::max(largest, value(n));
  }
  double sum = 0;
  for (std::int64_t n = 0; n < count; ++n) sum += weight(n) * std::exp(value(n) - largest);
  return largest + std::log(sum);
}

double one(std::int64_t) { return 1; }

}  // namespace

void contrastive_loss_forward(const ContrastiveLossForward& args, CpuStream& stream) {
  const Pairs pairs(args.problem);
  const ContrastiveNormalisers& out = args.normalisers;
  auto* losses = reinterpret_cast<double*>(
      stream.scratch(CpuStream::kShared, 0, static_cast<std::size_t>(2 * (pairs.clips + pairs.texts))));
  const auto most = static_cast<std::size_t>(2 * std::max(pairs.clips, pairs.texts));
  stream.parallel_for(pairs.clips + pairs.texts, [&](std::int64_t item, int worker) {
    // A row (one clip, all texts with their counts) or a column (one text, all clips).
    const bool is_row = item < pairs.clips;
    const std::int64_t fixed = is_row ? item : item - pairs.clips;
    const std::int64_t count = is_row ? pairs.texts : pairs.clips;
    auto* similarity = reinterpret_cast<double*>(stream.scratch(worker, 1, most));
    for (std::int64_t n = 0; n < count; ++n) {
      similarity[n] = is_row ? pairs.similarity(fixed, n) : pairs.similarity(n, fixed);
    }
    auto label = [&](std::int64_t n) { return is_row ? pairs.label(fixed, n) : pairs.label(n, fixed); };
    auto weight = [&](std::int64_t n) {
      return is_row ? static_cast<double>(args.problem.counts[n]) : one(n);
    };
    const double lse = log_sum_exp(
        count, [&](std::int64_t n) { return similarity[n]; }, weight);
    const double target_lse = log_sum_exp(count, label, weight);
    double divergence = 0;
    for (std::int64_t n = 0; n < count; ++n) {
      const double log_target = label(n) - target_lse, target = std::exp(log_target);
      if (target == 0) continue;  // 0 log 0 = 0
      divergence += weight(n) * target * (log_target - (similarity[n] - lse));
    }
    (is_row ? out.row : out.column)[fixed] = static_cast<float>(lse);
    (is_row ? out.target_row : out.target_column)[fixed] = static_cast<float>(target_lse);
    losses[item] = divergence * (is_row ? 1.0 : static_cast<double>(args.problem.counts[fixed]));
  });
  double total = 0;
  for (std::int64_t i = 0; i < pairs.clips + pairs.texts; ++i) total += losses[i];
  *args.loss = static_cast<float>(0.5 * total / static_cast<double>(pairs.clips));
}

void contrastive_loss_backward(const ContrastiveLossBackward& args, CpuStream& stream) {
  const Pairs pairs(args.problem);
  const ContrastiveNormalisers& norm = args.normalisers;
  const double factor = static_cast<double>(*args.dloss) * 0.5 /
                        (static_cast<double>(pairs.clips) * static_cast<double>(args.problem.temperature));
  // The gradient of v_i . t_k.
  auto gradient = [&](std::int64_t i, std::int64_t k) {
    const double s = pairs.similarity(i, k), label = pairs.label(i, k);
    const double rows = std::exp(s - static_cast<double>(norm.row[i])) -
                        std::exp(label - static_cast<double>(norm.target_row[i]));
    const double columns = std::exp(s - static_cast<double>(norm.column[k])) -
                           std::exp(label - static_cast<double>(norm.target_column[k]));
    return static_cast<float>(factor * static_cast<double>(args.problem.counts[k]) * (rows + columns));
  };
  auto add_scaled = [&](float g, const float* in, float* out) {
    for (std::int64_t d = 0; d < pairs.dim; ++d) out[d] += g * in[d];
  };
  stream.parallel_for(pairs.clips, [&](std::int64_t i, int) {
    float* dv = args.dv.f32() + i * args.dv.pitch;
    std::fill_n(dv, pairs.dim, 0.0f);
    for (std::int64_t k = 0; k < pairs.texts; ++k) {
      const float g = gradient(i, k);
      add_scaled(g, pairs.t(i, k), dv);
      if (!pairs.prompted) continue;
      float* dt = args.dt.f32() + pairs.text_row(i, k) * args.dt.pitch;
      for (std::int64_t d = 0; d < pairs.dim; ++d) dt[d] = g * pairs.v(i)[d];
    }
  });
  if (pairs.prompted) return;
  stream.parallel_for(pairs.texts, [&](std::int64_t k, int) {
    float* dt = args.dt.f32() + k * args.dt.pitch;
    std::fill_n(dt, pairs.dim, 0.0f);
    for (std::int64_t i = 0; i < pairs.clips; ++i) add_scaled(gradient(i, k), pairs.v(i), dt);
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(contrastive_loss_forward, ContrastiveLossForward)
MG_KERNEL(contrastive_loss_backward, ContrastiveLossBackward)
