// One check for every operation: the output against a naive double reference (at most twice the error of the
// same reference in fp32), and the gradient of a random projection of the output against central differences
// of the double reference.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/ops.h"

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

inline Tensor random_tensor(Context& ctx, Shape shape, bool dense, std::uint32_t site) {
  Tensor t = ctx.empty(shape, dense ? Layout::dense : Layout::pitched);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    t.f32()[i / t.channels() * t.pitch() + i % t.channels()] = random_value(site, i);
  }
  return t;
}

template <class Real>
std::vector<Real> values(const Tensor& t) {
  std::vector<Real> out;
  for (std::int64_t r = 0; r < t.rows(); ++r) {
    for (std::int64_t c = 0; c < t.channels(); ++c) out.push_back(static_cast<Real>(t.at(r, c)));
  }
  return out;
}

inline void check_padding(const Tensor& t) {
  for (std::int64_t r = 0; r < t.rows(); ++r) {
    for (std::int64_t c = t.channels(); c < t.pitch(); ++c) REQUIRE(t.f32()[r * t.pitch() + c] == 0.0f);
  }
}

inline void check_op(const OpCase& test, Isa isa) {
  CAPTURE(test.name);
  CAPTURE(to_string(isa));
  Context ctx(CpuStream(2, isa));
  ctx.training = true;
  ctx.seed = 5;
  Tape tape;
  ctx.tape = &tape;
  Arrays<double> exact_in;
  Arrays<float> naive_in;
  std::vector<Value> in;
  for (std::size_t i = 0; i < test.inputs.size(); ++i) {
    Tensor t = random_tensor(ctx, test.inputs[i], test.parameter[i], static_cast<std::uint32_t>(i + 1));
    exact_in.push_back(values<double>(t));
    naive_in.push_back(values<float>(t));
    in.push_back(!test.constant.empty() && test.constant[i] ? Value(t) : tape.input(t));
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
    const double error = std::isfinite(got[i]) ? std::abs(got[i] - exact[i]) : 1e30;
    if (error > worst) worst = error, worst_at = i;
  }
  {
    INFO("output ", worst_at, " is ", got[worst_at], ", expected ", exact[worst_at]);
    CHECK(worst <= 2 * naive_error + 5e-7 * largest);
  }
  Tensor cotangent = random_tensor(ctx, out.shape(), out.data.dense(), 1000);
  const std::vector<double> weights = values<double>(cotangent);
  tape.backward(ctx, out, cotangent);
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
      CHECK(std::abs(g[e] - numeric) <= 2e-5 * scale + 2e-6);
    }
  }
}

}  // namespace mg::test
