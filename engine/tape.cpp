#include "engine/tape.h"

#include <algorithm>
#include <utility>

#include "engine/context.h"
#include "engine/module.h"
#include "engine/ops.h"
#include "kernels/elementwise.h"

namespace mg {

void Backward::add(int slot, Tensor gradient) {
  if (slot < 0) return;
  Tensor& held = grads_.at(static_cast<std::size_t>(slot));
  if (!held) {
    held = std::move(gradient);
    return;
  }
  if (gradient.shape() != held.shape()) gradient = gradient.reshaped(held.shape());
  // A new tensor: the held one may be another slot's gradient too (add() shares its doutput with both
  // inputs).
  Tensor sum(context.arena, held.shape(), held.dense() ? Layout::dense : Layout::pitched, held.dtype());
  context.run([&](auto& s) {
    add_forward({.y = sum.view(), .a = std::as_const(held).view(), .b = std::as_const(gradient).view()}, s);
  });
  held = std::move(sum);
}

namespace {

// A parameter's gradient in the parameter's shape and, like it, dense.
Tensor parameter_gradient(Context& context, const Tensor& gradient, const Parameter& parameter) {
  if (!gradient) return {};
  Tensor shaped = gradient.reshaped(parameter.value.shape());
  if (shaped.dense()) return shaped;
  Tensor dense = context.empty(shaped.shape(), Layout::dense);
  context.run([&](auto& s) {
    scale_forward({.y = dense.view(), .x = std::as_const(shaped).view(), .factor = 1}, s);
  });
  return dense;
}

}  // namespace

int Tape::new_slot() {
  expect(!used_, "this tape has run backwards already: make a new one");
  grads_.emplace_back();
  return static_cast<int>(grads_.size()) - 1;
}

Value Tape::leaf(Parameter& parameter) {
  for (const auto& [slot, known] : leaves_) {
    if (known == &parameter) return {parameter.value, slot};
  }
  const int slot = new_slot();
  leaves_.emplace_back(slot, &parameter);
  return {parameter.value, slot};
}

Value Tape::input(Tensor tensor) { return {std::move(tensor), new_slot()}; }

Value Tape::record(std::string_view op, Tensor output, std::vector<Tensor> saved, BackwardFunction backward) {
  const int slot = new_slot();
  nodes_.push_back({op, slot, output.shape(), std::move(saved), std::move(backward)});
  return {std::move(output), slot};
}

void Tape::backward(Context& context, const Value& output, Tensor doutput) {
  expect(!used_, "this tape has run backwards already: make a new one");
  expect(output.needs_grad(), "backward: the output depends on nothing that needs a gradient");
  used_ = true;
  if (!doutput) {
    Tensor ones =
        Tensor::zeros(context.staging, output.shape(), output.data.dense() ? Layout::dense : Layout::pitched);
    for (std::int64_t r = 0; r < ones.rows(); ++r) {
      std::fill_n(ones.f32() + r * ones.pitch(), ones.channels(), 1.0f);
    }
    doutput = cast(context, Value(context.to_device(ones)), output.data.dtype()).data;
  }
  grads_[static_cast<std::size_t>(output.slot)] = std::move(doutput);
  Restore no_tape(context.tape, static_cast<Tape*>(nullptr));
  while (!nodes_.empty()) {
    Node node = std::move(nodes_.back());
    nodes_.pop_back();
    Tensor& held = grads_[static_cast<std::size_t>(node.output_slot)];
    if (!held) continue;  // the loss does not depend on this node
    Backward pass(context, held.reshaped(node.output_shape), node.saved, grads_);
    held = {};
    node.backward(pass);
  }
  for (auto& [slot, parameter] : leaves_) {
    const Tensor gradient = std::exchange(grads_[static_cast<std::size_t>(slot)], {});
    parameter->grad = parameter_gradient(context, gradient, *parameter);
  }
  leaves_.clear();
}

std::size_t Tape::saved_bytes() const {
  std::size_t bytes = 0;
  for (const Node& node : nodes_) {
    for (const Tensor& tensor : node.saved) bytes += tensor ? tensor.bytes() : 0;
  }
  return bytes;
}

}  // namespace mg
