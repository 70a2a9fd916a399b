#include "engine/module.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mg {

namespace {

// Standard normal draws from a counter-based stream (Box-Muller), four uniforms at a time.
class NormalDraws {
 public:
  explicit NormalDraws(RandomKey key) : key_(key) {}
  float next() {
    if (held_) {
      held_ = false;
      return spare_;
    }
    const Philox4 bits = key_.draw(0, group_++);
    const double u = (bits.v[0] + 1.0) / 4294967296.0;
    const double angle = 2.0 * std::numbers::pi * (bits.v[1] / 4294967296.0);
    const double radius = std::sqrt(-2.0 * std::log(u));
    spare_ = static_cast<float>(radius * std::sin(angle));
    held_ = true;
    return static_cast<float>(radius * std::cos(angle));
  }

 private:
  RandomKey key_;
  std::uint32_t group_ = 0;
  bool held_ = false;
  float spare_ = 0;
};

void draw(Parameter& parameter, RandomKey key) {
  float* data = parameter.value.f32();
  const std::int64_t count = parameter.value.count();
  const float scale = parameter.init.value;
  NormalDraws normal(key);
  switch (parameter.init.kind) {
    case Init::Kind::constant:
      std::fill_n(data, count, scale);
      return;
    case Init::Kind::normal:
      for (std::int64_t i = 0; i < count; ++i) data[i] = scale * normal.next();
      return;
    case Init::Kind::truncated_normal:
      for (std::int64_t i = 0; i < count; ++i) {
        float z = normal.next();
        while (std::abs(z) > 2) z = normal.next();
        data[i] = scale * z;
      }
      return;
    case Init::Kind::uniform:
      for (std::int64_t i = 0; i < count; ++i) {
        const Philox4 bits = key.draw(1, static_cast<std::uint32_t>(i / 4));
        data[i] = scale * (2 * uniform01(bits.v[i % 4]) - 1);
      }
      return;
  }
}

}  // namespace

Value Parameter::on(Context& context) {
  if (context.tape == nullptr || frozen) return {value};
  return context.tape->leaf(*this);
}

Parameter& Module::add_parameter(const std::string& name, Shape shape, Init init) {
  parameters_.push_back({name, Tensor::zeros(heap_allocator(), shape, Layout::dense), {}, init, false});
  return parameters_.back();
}

Tensor& Module::add_buffer(const std::string& name, Shape shape, float value, DType dtype) {
  expect(dtype == DType::f32 || value == 0, "buffer {}: only f32 buffers start at a value other than 0",
         name);
  buffers_.push_back({name, Tensor::zeros(heap_allocator(), shape, Layout::dense, dtype), value});
  Tensor& tensor = buffers_.back().tensor;
  if (dtype == DType::f32) std::fill_n(tensor.f32(), tensor.count(), value);
  return tensor;
}

void Module::add_child(const std::string& name, Module& module) { children_.emplace_back(name, &module); }

std::vector<NamedParameter> Module::parameters(const std::string& prefix) {
  std::vector<NamedParameter> all;
  for (Parameter& p : parameters_) all.push_back({prefix + p.name, &p});
  for (auto& [name, child] : children_) {
    for (auto& p : child->parameters(prefix + name + ".")) all.push_back(std::move(p));
  }
  return all;
}

std::vector<NamedBuffer> Module::buffers(const std::string& prefix) {
  std::vector<NamedBuffer> all;
  for (Buffer& b : buffers_) all.push_back({prefix + b.name, &b.tensor});
  for (auto& [name, child] : children_) {
    for (auto& b : child->buffers(prefix + name + ".")) all.push_back(std::move(b));
  }
  return all;
}

void Module::initialize(std::uint64_t seed, const std::string& path) {
  path_ = path;
  const std::string prefix = path.empty() ? "" : path + ".";
  for (Parameter& p : parameters_) draw(p, {seed, 0, random_site("init:" + prefix + p.name)});
  for (Buffer& b : buffers_) {
    b.tensor.fill_zero();
    if (b.tensor.dtype() == DType::f32) std::fill_n(b.tensor.f32(), b.tensor.count(), b.value);
  }
  for (auto& [name, child] : children_) child->initialize(seed, prefix + name);
}

void Module::set_frozen(bool frozen) {
  frozen_ = frozen;
  for (Parameter& p : parameters_) p.frozen = frozen;
  for (auto& [name, child] : children_) child->set_frozen(frozen);
}

void Module::move_to(const Context& ctx) {
  const auto& device = ctx.arena.device();
  for (Parameter& p : parameters_) p.value = p.value.moved_to(device);
  for (Buffer& b : buffers_) {
    if (b.tensor.dtype() == DType::f32) b.tensor = b.tensor.moved_to(device);
  }
  for (auto& [name, child] : children_) child->move_to(ctx);
}

std::int64_t Module::parameter_count() {
  std::int64_t count = 0;
  for (const NamedParameter& p : parameters()) count += p.parameter->value.count();
  return count;
}

std::uint32_t Module::site(std::string_view draw_name) const {
  return random_site(path_ + ":" + std::string(draw_name));
}

}  // namespace mg
