// One check for every operation: the output against a naive double reference (at most twice the error of the
// same reference in fp32), and the gradient of a random projection of the output against central differences
// of the double reference. On every instruction set, and on a CUDA device; with activations in f32 and in
// bf16.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "kernels/bfloat16.h"
#include "reference.h"

namespace mg::test {

template <class Real>
using Arrays = std::vector<std::vector<Real>>;

struct OpCase {
  std::string name;
  std::vector<Shape> inputs;
  std::vector<bool> parameter;  // dense, as parameters are; else pitched, as activations are
  std::function<Value(Context&, const std::vector<Value>&)> op;
  std::function<std::vector<double>(const Arrays<double>&)> exact;
  std::function<std::vector<float>(const Arrays<float>&)> naive;
  std::vector<bool> constant = {};  // inputs that get no gradient
  double terms = 0;  // the size of what an output is the difference of, where it may be far smaller
};

// reference: a generic callable from arrays of double (or float) to the output without padding.
template <class Op, class Reference>
OpCase op_case(std::string name, std::vector<Shape> inputs, std::vector<bool> parameter, Op op,
               Reference reference) {
  return {std::move(name),
          std::move(inputs),
          std::move(parameter),
          op,
          [reference](const Arrays<double>& in) { return reference(in); },
          [reference](const Arrays<float>& in) { return reference(in); }};
}

inline float random_value(std::uint32_t site, std::int64_t i) {
  return 2 * uniform01(RandomKey{77, 0, site}.draw(0, static_cast<std::uint32_t>(i / 4)).v[i % 4]) - 1;
}

// On the host. Every value is one of bf16, so that no operation's first rounding counts as an error.
inline Tensor random_tensor(Shape shape, bool dense, std::uint32_t site, bool bf16 = false) {
  Tensor t(heap_allocator(), shape, dense ? Layout::dense : Layout::pitched);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    const float value = random_value(site, i);
    t.f32()[i / t.channels() * t.pitch() + i % t.channels()] = bf16 ? to_float(to_bfloat16(value)) : value;
  }
  return t;
}

template <class Real>
std::vector<Real> values(const Tensor& t) {
  const std::vector<float> all = to_vector(t);
  return {all.begin(), all.end()};
}

// Zero of either sign.
inline void check_padding(const Tensor& t) {
  const Tensor host = t.to_host();
  for (std::int64_t r = 0; r < host.rows(); ++r) {
    for (std::int64_t c = host.channels(); c < host.pitch(); ++c) {
      const std::int64_t i = r * host.pitch() + c;
      REQUIRE((host.dtype() == DType::bf16 ? to_float(host.as<BFloat16>()[i]) : host.f32()[i]) == 0.0f);
    }
  }
}

// The contexts that a case is tried in: every instruction set, and bf16 on one of them; or the CUDA device
// (MG_TEST_DEVICE=cuda), in both types.
struct NamedContext {
  std::string name;
  std::function<Context()> make;
};
inline std::vector<NamedContext> contexts() {
  const auto in_bf16 = [](Context ctx) {
    ctx.activations = DType::bf16;
    return ctx;
  };
  std::vector<NamedContext> all;
  if (on_cuda()) {
#if defined(MG_CUDA)
    all.push_back({"cuda f32", [] { return Context(CudaStream()); }});
    all.push_back({"cuda bf16", [in_bf16] { return in_bf16(Context(CudaStream())); }});
#else
    FAIL("MG_TEST_DEVICE=cuda, but this build has no CUDA");
#endif
    return all;
  }
  for (const Isa isa : supported_isas()) {
    all.push_back({std::string(to_string(isa)), [isa] { return Context(CpuStream(2, isa)); }});
  }
  all.push_back({"bf16", [in_bf16] { return in_bf16(Context(CpuStream(2))); }});
  return all;
}

// What bf16 adds: two roundings of up to 2^-8 to an output (the result's, and that of what is inside: an
// inner operation, the weights of attention), beside the largest; to a gradient those of a few operations.
inline constexpr double kBF16Output = 1.0 / 256, kBF16Gradient = 1.0 / 128;

inline void check_op(const OpCase& test, const NamedContext& where) {
  CAPTURE(test.name);
  CAPTURE(where.name);
  Context ctx = where.make();
  const bool bf16 = ctx.activations == DType::bf16;
  ctx.training = true;
  ctx.seed = 5;
  Tape tape;
  ctx.tape = &tape;
  Arrays<double> exact_in;
  Arrays<float> naive_in;
  std::vector<Value> in;
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    const Tensor t =
        random_tensor(test.inputs[i], test.parameter[i], static_cast<std::uint32_t>(i + 1), bf16);
    exact_in.push_back(values<double>(t));
    naive_in.push_back(values<float>(t));
    const Tensor there = test.parameter[i] ? ctx.to_device(t) : ctx.activation(t);
    in.push_back(!test.constant.empty() && test.constant[i] ? Value(there) : tape.input(there));
  }
  const Value out = test.op(ctx, in);
  check_padding(out.data);
  const std::vector<double> got = values<double>(out.data), exact = test.exact(exact_in);
  const std::vector<float> naive = test.naive(naive_in);
  REQUIRE(got.size() == exact.size());
  double naive_error = 0, largest = 0, worst = 0;
  std::size_t worst_at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    naive_error = std::max(naive_error, std::abs(static_cast<double>(naive[i]) - exact[i]));
    largest = std::max(largest, std::abs(exact[i]));
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::isfinite(got[i]) ? std::abs(got[i] - exact[i]) : 1e30;
    if (error > worst) worst = error, worst_at = i;
  }
  {
    INFO("output ", worst_at, " is ", got[worst_at], ", expected ", exact[worst_at]);
    CHECK(worst <= 2 * naive_error + (bf16 ? 2 * kBF16Output : 5e-7) * largest + 5e-7 * test.terms);
  }
  const Tensor host_cotangent = random_tensor(out.shape(), out.data.dense(), 1000, bf16);
  const std::vector<double> weights = values<double>(host_cotangent);
  tape.backward(ctx, out, cast(ctx, Value(ctx.to_device(host_cotangent)), out.data.dtype()).data);
  auto projection = [&](const Arrays<double>& x) {
    const std::vector<double> y = test.exact(x);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += weights[i] * y[i];
    return sum;
  };
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!in[i].needs_grad()) continue;
    const Tensor grad = tape.gradient(in[i].slot);
    REQUIRE(grad);
    check_padding(grad);
    const std::vector<double> g = values<double>(grad);
    double scale = 0;
    for (double x : g) scale = std::max(scale, std::abs(x));
    const std::size_t step = std::max<std::size_t>(1, g.size() / 40);
    for (std::size_t e = i % step; e < g.size(); e += step) {
      constexpr double kH = 1e-6;  // small: a step across the kink of a ReLU would be no derivative
      Arrays<double> x = exact_in;
      x[i][e] += kH;
      const double up = projection(x);
      x[i][e] -= 2 * kH;
      const double numeric = (up - projection(x)) / (2 * kH);
      INFO("input ", i, " element ", e, ": gradient ", g[e], ", by differences ", numeric);
      CHECK(std::abs(g[e] - numeric) <= (bf16 ? kBF16Gradient : 2e-5) * scale + 2e-6);
    }
  }
}

}  // namespace mg::test
