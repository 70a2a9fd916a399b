// What every operation and module runs in: the stream, the memory, the tape (or none), the phase and the
// random key.
#pragma once

#include "engine/arena.h"
#include "engine/tape.h"
#include "kernels/philox.h"
#include "kernels/stream.h"

namespace mg {

class Context {
 public:
  explicit Context(Stream s) : stream(std::move(s)) {}

  Tensor empty(Shape shape, Layout layout = Layout::pitched, DType dtype = DType::f32) {
    return {arena, shape, layout, dtype};
  }
  Tensor zeros(Shape shape, Layout layout = Layout::pitched, DType dtype = DType::f32) {
    return Tensor::zeros(arena, shape, layout, dtype);
  }
  // Runs kernel(args, stream) on whichever stream this is: ctx.run([&](auto& s) { relu_forward(args, s); }).
  template <class Kernel>
  void run(Kernel&& kernel) {
    std::visit(std::forward<Kernel>(kernel), stream);
  }
  // True when an operation with this input must record a node.
  bool records(const Value& a) const { return tape != nullptr && a.needs_grad(); }
  template <class... Rest>
  bool records(const Value& a, const Rest&... rest) const {
    return records(a) || records(rest...);
  }
  RandomKey random(std::uint32_t site) const { return {seed, step, site}; }

  Stream stream;
  Arena arena;
  Tape* tape = nullptr;   // null: nothing is recorded (inference, frozen parts)
  bool training = false;  // dropout and batch statistics on
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t sample_offset = 0;  // the global number of this batch's first sample
};

// Sets a member for as long as the object lives.
template <class T>
class Restore {
 public:
  Restore(T& variable, T value) : variable_(variable), saved_(variable) { variable_ = value; }
  ~Restore() { variable_ = saved_; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  T& variable_;
  T saved_;
};

}  // namespace mg
