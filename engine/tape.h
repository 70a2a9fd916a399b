// Reverse-mode differentiation. An operation computes its output and, if any input needs a gradient, records
// one node: what it saved, and a function from the output's gradient to its inputs' gradients. A tape is used
// once: backward() runs the nodes in reverse and frees each node's saved tensors and gradient as it passes.
// No second derivatives.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/tensor.h"
#include "kernels/stream.h"

namespace mg {

class Context;
struct Parameter;

// A tensor on (or off) the tape. slot names its gradient; -1: no gradient is wanted. A value may be seen
// under another shape, {x.data.reshaped(shape), x.slot}: its gradient takes the shape of the value that it
// belongs to.
struct Value {
  Tensor data;
  int slot = -1;

  Value() = default;
  Value(Tensor tensor, int gradient_slot = -1) : data(std::move(tensor)), slot(gradient_slot) {}
  bool needs_grad() const { return slot >= 0; }
  const Shape& shape() const { return data.shape(); }
};

// What a backward function gets: the gradient of its output, what its node saved (in the order recorded), and
// where the gradients of its inputs go.
class Backward {
 public:
  Backward(Context& c, Tensor g, std::span<Tensor> s, std::vector<Tensor>& grads)
      : context(c), doutput(std::move(g)), saved(s), grads_(grads) {}

  // Adds gradient to that of slot; does nothing for slot -1. The tensor must not be written afterwards.
  void add(int slot, Tensor gradient);

  Context& context;
  Tensor doutput;
  std::span<Tensor> saved;

 private:
  std::vector<Tensor>& grads_;
};

class Tape {
 public:
  using BackwardFunction = std::function<void(Backward&)>;

  // The value of a parameter; its gradient arrives in parameter.grad. The same parameter gives the same slot.
  Value leaf(Parameter& parameter);
  // A value whose gradient the caller wants to read with gradient() after backward(): for tests and stage
  // boundaries.
  Value input(Tensor tensor);

  // Appends a node. backward may call add() for each input's slot. saved: what backward reads.
  Value record(std::string_view op, Tensor output, std::vector<Tensor> saved, BackwardFunction backward);

  // Runs the tape backwards from output, whose gradient is doutput (all ones when empty), and empties it.
  void backward(Context& context, const Value& output, Tensor doutput = {});

  Tensor gradient(int slot) const { return grads_.at(static_cast<std::size_t>(slot)); }
  std::size_t nodes() const { return nodes_.size(); }
  // Bytes held by saved tensors (a tensor saved twice counts twice).
  std::size_t saved_bytes() const;

 private:
  struct Node {
    std::string_view op;
    int output_slot;
    Shape output_shape;
    std::vector<Tensor> saved;
    BackwardFunction backward;
  };
  int new_slot();

  std::vector<Node> nodes_;
  std::vector<Tensor> grads_;
  std::vector<std::pair<int, Parameter*>> leaves_;
  bool used_ = false;
};

}  // namespace mg
