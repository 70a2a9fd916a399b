// What every operation and module runs in: the stream, the memory, the tape (or none), the phase and the
// random key.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "engine/arena.h"
#include "engine/tape.h"
#include "kernels/cuda_stream.h"
#include "kernels/philox.h"

namespace mg {

// A number that a device is still to send. get() waits for it, should it not have come.
template <class T>
class Late {
 public:
  Late() = default;
  explicit Late(const T& value) : value_(value) {}
  explicit Late(std::function<const void*()> wait) : wait_(std::move(wait)) {}
  const T& get() {
    if (wait_) {
      std::memcpy(&value_, wait_(), sizeof(T));
      wait_ = nullptr;
    }
    return value_;
  }

 private:
  std::function<const void*()> wait_;
  T value_{};
};

class Context {
 public:
  explicit Context(Stream s);
  // Runs nothing and has no memory, but hands out addresses and counts bytes: for finding out what a step of
  // this network, batch and precision needs. arena.statistics() has the answer.
  static Context planning(DType activations);

  Tensor empty(Shape shape, Layout layout = Layout::pitched, DType dtype = DType::f32) {
    return {arena, shape, layout, dtype};
  }
  Tensor zeros(Shape shape, Layout layout = Layout::pitched, DType dtype = DType::f32) {
    return Tensor::zeros(arena, shape, layout, dtype);
  }
  // Pitched, of another tensor's element type.
  Tensor empty_like(const Tensor& x, Shape shape) { return empty(shape, Layout::pitched, x.dtype()); }
  Tensor empty_like(const Tensor& x) { return empty_like(x, x.shape()); }

  // A host tensor where kernels can read it; itself on the processor. Never waits.
  Tensor to_device(const Tensor& host);
  // Integers where kernels can read them, dense [n].
  Tensor upload(std::span<const std::int32_t> values);
  // Bytes where kernels can read them, dense u8 [n], 64-byte aligned.
  Tensor upload_bytes(std::span<const std::byte> bytes);
  // A network's input: of the activations' element type, pitched, where kernels can read it.
  Tensor activation(const Tensor& x);
  bool on_device() const { return arena.device() != nullptr; }
  // The start of a tensor as one T, without waiting for it.
  template <class T>
  Late<T> read_later(const Tensor& x) {
    if (on_device()) return Late<T>(arena.device()->read_later(x.pointer<char>(), sizeof(T)));
    T value;
    std::memcpy(&value, x.pointer<char>(), sizeof(T));
    return Late<T>(value);
  }

  // Runs kernel(args, stream) on whichever stream this is: ctx.run([&](auto& s) { relu_forward(args, s); }).
  template <class Kernel>
  void run(Kernel&& kernel) {
    if (!planning_) std::visit(std::forward<Kernel>(kernel), stream);
  }
  // True when an operation with this input must record a node.
  bool records(const Value& a) const { return tape != nullptr && a.needs_grad(); }
  template <class... Rest>
  bool records(const Value& a, const Rest&... rest) const {
    return records(a) || records(rest...);
  }
  RandomKey random(std::uint32_t site) const { return {seed, step, site}; }

  Stream stream;
  Arena arena;    // where kernels look
  Arena staging;  // the host's, from which a device copies fast
  // What activations and their gradients are held in, f32 or bf16. Parameters, statistics, losses and sums
  // stay f32.
  DType activations = DType::f32;
  Tape* tape = nullptr;   // null: nothing is recorded (inference, frozen parts)
  bool training = false;  // dropout and batch statistics on
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t sample_offset = 0;  // the global number of this batch's first sample

 private:
  Context(Stream s, Arena memory, Arena host)
      : stream(std::move(s)), arena(std::move(memory)), staging(std::move(host)) {}

  bool planning_ = false;
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
