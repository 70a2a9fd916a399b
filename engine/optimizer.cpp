#include "engine/optimizer.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace mg {

AdamW::AdamW(std::vector<ParameterGroup> groups, AdamWOptions options)
    : groups_(std::move(groups)), options_(options) {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (const NamedParameter& p : groups_[g].parameters) {
      const Tensor& value = p.parameter->value;
      const auto memory = device_allocator(value.device());
      slots_.push_back({p.parameter, p.name, g, Tensor::zeros(*memory, value.shape(), Layout::dense),
                        Tensor::zeros(*memory, value.shape(), Layout::dense),
                        Tensor::zeros(*memory, {1}, Layout::dense, DType::i64)});
    }
  }
}

Late<AdamWOutcome> AdamW::step(Context& context, double lr_factor) {
  std::vector<AdamWTensor> tensors;
  std::vector<Tensor> gradients;  // alive until the kernel has been given them
  for (Slot& slot : slots_) {
    gradients.push_back(std::exchange(slot.parameter->grad, {}));
    const Tensor& grad = gradients.back();
    if (!grad) continue;
    expect(grad.shape() == slot.parameter->value.shape() && grad.dense(),
           "AdamW: gradient {} does not fit parameter {} {}", to_string(grad.shape()), slot.name,
           to_string(slot.parameter->value.shape()));
    const ParameterGroup& group = groups_[slot.group];
    tensors.push_back({.weight = slot.parameter->value.pointer<float>(),
                       .first_moment = slot.first_moment.pointer<float>(),
                       .second_moment = slot.second_moment.pointer<float>(),
                       .grad = grad.pointer<float>(),
                       .steps = slot.steps.pointer<std::int64_t>(),
                       .count = grad.count(),
                       .lr = group.lr * lr_factor,
                       .weight_decay = group.weight_decay});
  }
  constexpr auto kWords = static_cast<std::int64_t>(sizeof(AdamWOutcome) / sizeof(std::int64_t));
  Tensor outcome = context.zeros({kWords}, Layout::dense, DType::i64);
  context.run([&](auto& s) {
    adamw_step({.outcome = outcome.pointer<AdamWOutcome>(),
                .tensors = tensors,
                .beta1 = options_.beta1,
                .beta2 = options_.beta2,
                .eps = options_.eps,
                .max_norm = options_.max_norm},
               s);
  });
  return context.read_later<AdamWOutcome>(outcome);
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
