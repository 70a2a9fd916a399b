#include "engine/layers.h"

#include <doctest/doctest.h>

#include <cmath>

namespace mg {

namespace {

Tensor counting(Context& ctx, Shape shape) {
  Tensor t = ctx.empty(shape);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    t.f32()[i / t.channels() * t.pitch() + i % t.channels()] = static_cast<float>(i);
  }
  return t;
}

double standard_deviation(const Tensor& t) {
  double sum = 0;
  for (std::int64_t i = 0; i < t.count(); ++i) sum += double{t.f32()[i]} * t.f32()[i];
  return std::sqrt(sum / static_cast<double>(t.count()));
}

const Tensor& parameter(Module& module, const std::string& name) {
  for (const NamedParameter& p : module.parameters()) {
    if (p.name == name) return p.parameter->value;
  }
  throw Error(ExitCode::failure, "no parameter {}", name);
}

}  // namespace

TEST_CASE("layers start as PyTorch's do") {
  Linear linear(300, 200);
  linear.initialize(1);
  CHECK(standard_deviation(parameter(linear, "weight")) ==
        doctest::Approx(1 / std::sqrt(3.0 * 300)).epsilon(0.02));
  CHECK(standard_deviation(parameter(linear, "bias")) ==
        doctest::Approx(1 / std::sqrt(3.0 * 300)).epsilon(0.15));
  Linear dense(300, 200, {.bias = true, .init = Init::normal(0.02f)});
  dense.initialize(1);
  CHECK(standard_deviation(parameter(dense, "weight")) == doctest::Approx(0.02).epsilon(0.02));
  CHECK(standard_deviation(parameter(dense, "bias")) == 0);
  Conv3d conv(20, 60, {.kernel = {1, 3, 3}, .stride = {1, 1, 1}, .padding = {0, 1, 1}});
  conv.initialize(1);
  CHECK(standard_deviation(parameter(conv, "weight")) ==
        doctest::Approx(std::sqrt(2.0 / (60 * 9))).epsilon(0.03));
  Linear no_bias(3, 4, {.bias = false, .init = {}});
  CHECK(no_bias.parameters().size() == 1);
}

TEST_CASE("repeat copies the whole and sums its gradients") {
  Context ctx(CpuStream(1));
  Tape tape;
  ctx.tape = &tape;
  const Value x = tape.input(counting(ctx, {2, 3}));
  const Value y = repeat(ctx, x, 3);
  REQUIRE(y.shape() == Shape{3, 2, 3});
  for (std::int64_t r = 0; r < 6; ++r) CHECK(y.data.at(r, 1) == x.data.at(r % 2, 1));
  tape.backward(ctx, y, counting(ctx, {3, 2, 3}));
  CHECK(tape.gradient(x.slot).at(1, 2) == 5 + 11 + 17);
}

TEST_CASE("masked_mean and first_position read the right rows, and so do their gradients") {
  Context ctx(CpuStream(1));
  const std::vector<std::int32_t> lengths{3, 1};
  for (std::int64_t dim : {5, 32, 300}) {
    CAPTURE(dim);
    Tape tape;
    ctx.tape = &tape;
    const Value x = tape.input(counting(ctx, {2, 4, dim}));
    const Value mean = masked_mean(ctx, x, lengths);
    REQUIRE(mean.shape() == Shape{2, dim});
    CHECK(mean.data.at(0, 2) == doctest::Approx(dim + 2));
    CHECK(mean.data.at(1, 4) == doctest::Approx(4 * dim + 4));
    Tensor ones = ctx.empty({2, dim});
    for (std::int64_t r = 0; r < 2; ++r) std::fill_n(ones.f32() + r * ones.pitch(), dim, 1.0f);
    tape.backward(ctx, mean, ones);
    const Tensor gradient = tape.gradient(x.slot);
    for (std::int64_t row = 0; row < 8; ++row) {
      const double expected = row < 3 ? 1.0 / 3 : row == 4 ? 1 : 0;
      CAPTURE(row);
      CHECK(gradient.at(row, 3) == doctest::Approx(expected));
    }
    ctx.tape = nullptr;
    CHECK(first_position(ctx, x).data.at(1, 1) == 4 * dim + 1);
  }
}

TEST_CASE("BatchNorm counts batches only where it uses their statistics") {
  Context ctx(CpuStream(1));
  BatchNorm norm(3);
  auto counted = [&] { return *norm.buffers()[2].tensor->as<std::int64_t>(); };
  norm.forward(ctx, counting(ctx, {4, 3}));
  CHECK(counted() == 0);
  ctx.training = true;
  norm.forward(ctx, counting(ctx, {4, 3}));
  CHECK(counted() == 1);
  norm.set_frozen(true);
  norm.forward(ctx, counting(ctx, {4, 3}));
  CHECK(counted() == 1);
}

}  // namespace mg
