// Modules: named parameters and buffers in a tree. A member registers itself with its owner under the name
// that PyTorch's implementation of the same network uses, so that state dictionaries match key by key.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "engine/context.h"

namespace mg {

// How a parameter starts. Draws come from Philox keyed by the parameter's full name, so they do not depend on
// order.
struct Init {
  enum class Kind { constant, normal, truncated_normal, uniform };
  Kind kind = Kind::constant;
  float value = 0;  // the constant, the standard deviation (truncated at two), or the bound of uniform(-b, b)

  static Init zeros() { return {Kind::constant, 0}; }
  static Init ones() { return {Kind::constant, 1}; }
  static Init constant(float c) { return {Kind::constant, c}; }
  static Init normal(float stddev) { return {Kind::normal, stddev}; }
  static Init truncated_normal(float stddev) { return {Kind::truncated_normal, stddev}; }
  static Init uniform(float bound) { return {Kind::uniform, bound}; }
};

struct Parameter {
  std::string name;  // within its module; the full name comes from the tree
  Tensor value;      // dense, PyTorch's layout
  Tensor grad;       // set by Tape::backward; empty: no gradient reached it
  Init init;
  bool frozen = false;

  // The parameter on the context's tape; a constant when frozen or nothing is recorded.
  Value on(Context& context);
};

struct NamedParameter {
  std::string name;
  Parameter* parameter;
};
struct NamedBuffer {
  std::string name;
  Tensor* tensor;
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // In registration order, depth first; names are dotted paths below this module.
  std::vector<NamedParameter> parameters(const std::string& prefix = "");
  std::vector<NamedBuffer> buffers(const std::string& prefix = "");

  // Draws every parameter afresh (and resets buffers) and tells each module its path: call once on the root
  // of the tree.
  void initialize(std::uint64_t seed, const std::string& path = "");
  // Frozen: parameters get no gradient, BatchNorm uses its running statistics and leaves them alone.
  void set_frozen(bool frozen);
  bool frozen() const { return frozen_; }
  std::int64_t parameter_count();
  // Parameters and fp32 buffers go to where the context's kernels look (counters stay with the host). Before
  // an optimizer is made, and before anything runs.
  void move_to(const Context& ctx);

 protected:
  Parameter& add_parameter(const std::string& name, Shape shape, Init init);
  Tensor& add_buffer(const std::string& name, Shape shape, float value, DType dtype = DType::f32);
  void add_child(const std::string& name, Module& module);
  // The number that keys this module's random draws, from its path and a name of the draw.
  std::uint32_t site(std::string_view draw) const;

 private:
  struct Buffer {
    std::string name;
    Tensor tensor;
    float value;
  };
  std::string path_;
  bool frozen_ = false;
  std::deque<Parameter> parameters_;  // deque: addresses stay
  std::deque<Buffer> buffers_;
  std::vector<std::pair<std::string, Module*>> children_;
};

}  // namespace mg
