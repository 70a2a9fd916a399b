#include "engine/optimizer.h"

#include <cmath>
#include <numbers>

#include "kernels/adamw.h"

namespace mg {

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : groups_(std::move(groups)), options_(options) {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (const NamedParameter& p : groups_[g].parameters) {
      const Shape shape = p.parameter->value.shape();
      Tensor first = Tensor::zeros(heap_allocator(), shape, Layout::dense);
      Tensor second = Tensor::zeros(heap_allocator(), shape, Layout::dense);
      slots_.push_back({p.parameter, p.name, g, first, second,
                        Tensor::zeros(heap_allocator(), {1}, Layout::dense, DType::i64)});
    }
  }
}

AdamW::StepResult AdamW::step(Context& context, double lr_factor) {
  double squares = 0;
  for (const Slot& slot : slots_) {
    const Tensor& grad = slot.parameter->grad;
    if (!grad) continue;
    expect(grad.shape() == slot.parameter->value.shape() && grad.dense(),
           "AdamW: gradient {} does not fit parameter {} {}", to_string(grad.shape()), slot.name,
           to_string(slot.parameter->value.shape()));
    context.run([&](auto& s) { sum_of_squares({&squares, grad.f32(), grad.count()}, s); });
  }
  StepResult result{std::sqrt(squares), !std::isfinite(squares)};
  float grad_scale = 1;
  if (options_.max_norm > 0 && result.gradient_norm > options_.max_norm) {
    grad_scale = static_cast<float>(options_.max_norm / (result.gradient_norm + 1e-6));
  }
  for (Slot& slot : slots_) {
    Tensor grad = std::move(slot.parameter->grad);
    slot.parameter->grad = {};
    if (!grad || result.skipped) continue;
    const ParameterGroup& group = groups_[slot.group];
    const std::int64_t step = ++*slot.steps.as<std::int64_t>();
    context.run([&](auto& s) {
      adamw_step({.weight = slot.parameter->value.f32(),
                  .first_moment = slot.first_moment.f32(),
                  .second_moment = slot.second_moment.f32(),
                  .grad = grad.f32(),
                  .count = grad.count(),
                  .lr = group.lr * lr_factor,
                  .beta1 = options_.beta1,
                  .beta2 = options_.beta2,
                  .eps = options_.eps,
                  .weight_decay = group.weight_decay,
                  .step = step,
                  .grad_scale = grad_scale},
                 s);
    });
  }
  return result;
}

std::vector<OptimizerState> AdamW::state() {
  std::vector<OptimizerState> all;
  for (Slot& slot : slots_) {
    all.push_back({"exp_avg." + slot.name, &slot.first_moment});
    all.push_back({"exp_avg_sq." + slot.name, &slot.second_moment});
    all.push_back({"step." + slot.name, &slot.steps});
  }
  return all;
}

double schedule_factor(Schedule schedule, std::int64_t step, std::int64_t total, std::int64_t warmup) {
  if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (schedule == Schedule::constant || total <= warmup) return 1;
  const double progress = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, progress)));
}

}  // namespace mg
