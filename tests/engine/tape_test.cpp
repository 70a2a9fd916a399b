#include <doctest/doctest.h>

#include <cmath>

#include "engine/module.h"
#include "engine/ops.h"
#include "engine/optimizer.h"

using namespace mg;

namespace {

struct TwoLayer : Module {
  Parameter& w1 = add_parameter("w1", {24, 40}, Init::uniform(0.2f));
  Parameter& b1 = add_parameter("b1", {24}, Init::zeros());
  Parameter& w2 = add_parameter("w2", {40, 24}, Init::normal(0.1f));

  Value loss(Context& ctx, const Tensor& x) {
    const Value h = linear(ctx, {x}, w1.on(ctx), b1.on(ctx), Activation::gelu);
    const Value y = linear(ctx, dropout(ctx, h, 0.1f, site("dropout")), w2.on(ctx), {});
    Tensor targets = ctx.zeros(y.shape());
    for (std::int64_t r = 0; r < targets.rows(); ++r) targets.f32()[r * targets.pitch() + r % 40] = 1;
    return cross_entropy(ctx, y, targets);
  }
};

Tensor input(Context& ctx) {
  Tensor x = ctx.zeros({30, 40});
  for (std::int64_t i = 0; i < 30; ++i) x.f32()[i * x.pitch() + i] = 1;
  return x;
}

std::vector<float> train(int threads, int steps) {
  Context ctx(CpuStream{threads});
  ctx.training = true;
  TwoLayer net;
  net.initialize(3);
  AdamW optimizer({{"all", net.parameters(), 1e-2, 1e-2}}, {});
  const Tensor x = input(ctx);
  for (int i = 0; i < steps; ++i) {
    ctx.step = static_cast<std::uint32_t>(i);
    Tape tape;
    Restore recording(ctx.tape, &tape);
    tape.backward(ctx, net.loss(ctx, x));
    optimizer.step(ctx);
  }
  std::vector<float> weights;
  for (const NamedParameter& p : net.parameters()) {
    weights.insert(weights.end(), p.parameter->value.f32(),
                   p.parameter->value.f32() + p.parameter->value.count());
  }
  return weights;
}

}  // namespace

TEST_CASE("training gives the same bits twice and at any number of threads") {
  const auto one = train(1, 5);
  CHECK(one == train(1, 5));
  CHECK(one == train(3, 5));
  CHECK(one != train(1, 6));
}

TEST_CASE("after the first step the arena asks the system for nothing") {
  Context ctx(CpuStream(2));
  ctx.training = true;
  TwoLayer net;
  net.initialize(1);
  AdamW optimizer({{"all", net.parameters(), 1e-2}}, {});
  const Tensor x = input(ctx);
  std::int64_t after_first = 0;
  for (int i = 0; i < 4; ++i) {
    Tape tape;
    Restore recording(ctx.tape, &tape);
    const Value loss = net.loss(ctx, x);
    CHECK(tape.saved_bytes() > 0);
    tape.backward(ctx, loss);
    CHECK(tape.saved_bytes() == 0);
    CHECK(tape.nodes() == 0);
    optimizer.step(ctx);
    if (i == 0) after_first = ctx.arena.statistics().system_allocations;
  }
  CHECK(ctx.arena.statistics().system_allocations == after_first);
}

TEST_CASE("saved tensors are freed as the backward pass goes") {
  Context ctx(CpuStream(1));
  TwoLayer net;
  net.initialize(1);
  Tape tape;
  Restore recording(ctx.tape, &tape);
  std::size_t in_use_at_last = 0;
  const Value first =
      tape.record("first", ctx.zeros({1000, 1000}), {ctx.zeros({1000, 1000})},
                  [&](Backward& b) { in_use_at_last = b.context.arena.statistics().bytes_in_use; });
  const Value second =
      tape.record("second", ctx.zeros({1000, 1000}), {ctx.zeros({1000, 1000}), ctx.zeros({1000, 1000})},
                  [slot = first.slot](Backward& b) { b.add(slot, b.doutput); });
  const std::size_t before = ctx.arena.statistics().bytes_in_use;
  tape.backward(ctx, second);
  CHECK(in_use_at_last < before - 4'000'000);
}

TEST_CASE("a tape is used once; frozen parameters get no gradient; a parameter used twice gets the sum") {
  Context ctx(CpuStream(1));
  TwoLayer net;
  net.initialize(1);
  {
    Tape tape;
    Restore recording(ctx.tape, &tape);
    const Value loss = net.loss(ctx, input(ctx));
    tape.backward(ctx, loss);
    CHECK(net.w1.grad);
    CHECK_THROWS_WITH_AS(tape.backward(ctx, loss), "this tape has run backwards already: make a new one",
                         Error);
    CHECK_THROWS_AS(net.loss(ctx, input(ctx)), Error);
  }
  net.set_frozen(true);
  net.w1.grad = {};
  {
    Tape tape;
    Restore recording(ctx.tape, &tape);
    CHECK_FALSE(net.loss(ctx, input(ctx)).needs_grad());
  }
  Tape tape;
  Restore recording(ctx.tape, &tape);
  net.set_frozen(false);
  const Value once = net.b1.on(ctx), twice = add(ctx, once, net.b1.on(ctx));
  tape.backward(ctx, twice);
  CHECK(net.b1.grad.at(0) == 2.0f);
}

TEST_CASE("a gradient takes the shape and the layout of the value it belongs to") {
  Context ctx(CpuStream(1));
  TwoLayer net;
  net.initialize(1);
  Tape tape;
  Restore recording(ctx.tape, &tape);
  // w2 [40, 24] is dense and is seen as [2, 20, 24]; the other term, and so the sum, is pitched.
  const Value w2 = net.w2.on(ctx), seen{w2.data.reshaped({2, 20, 24}), w2.slot};
  const Value other = tape.input(ctx.zeros({2, 20, 24}));
  const Value sum = add(ctx, other, seen), flat{sum.data.reshaped({40, 24}), sum.slot};
  tape.backward(ctx, add(ctx, flat, scale(ctx, w2, 3)));
  REQUIRE(net.w2.grad.shape() == Shape{40, 24});
  CHECK(net.w2.grad.dense());
  for (std::int64_t i = 0; i < 40 * 24; ++i) CHECK(net.w2.grad.f32()[i] == 4.0f);
  CHECK(tape.gradient(other.slot).shape() == Shape{2, 20, 24});
}

TEST_CASE("AdamW against a double reference; clipping; parameters without a gradient are left alone") {
  Context ctx(CpuStream(2));
  TwoLayer net;
  net.initialize(9);
  constexpr double kLr = 1e-2, kDecay = 0.1, kMaxNorm = 0.5;
  AdamW optimizer({{"all", net.parameters(), kLr, kDecay}}, {.max_norm = kMaxNorm});
  const std::int64_t count = net.w1.value.count();
  std::vector<double> w(net.w1.value.f32(), net.w1.value.f32() + count), m(w.size()), v(w.size());
  const std::vector<float> untouched(net.w2.value.f32(), net.w2.value.f32() + net.w2.value.count());
  for (int step = 1; step <= 5; ++step) {
    Tensor grad = ctx.zeros({24, 40}, Layout::dense);
    double squares = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      grad.f32()[i] = 0.1f * static_cast<float>((i * step) % 7 - 3);
      squares += static_cast<double>(grad.f32()[i]) * static_cast<double>(grad.f32()[i]);
    }
    const double factor = kMaxNorm / (std::sqrt(squares) + 1e-6);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double g = factor * static_cast<double>(grad.f32()[i]);
      w[i] -= kLr * kDecay * w[i];
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      w[i] -= kLr * m[i] / (1 - std::pow(0.9, step)) / (std::sqrt(v[i] / (1 - std::pow(0.999, step))) + 1e-8);
    }
    net.w1.grad = grad;
    const AdamWOutcome result = optimizer.step(ctx).get();
    CHECK(result.gradient_norm == doctest::Approx(std::sqrt(squares)).epsilon(1e-5));
    CHECK_FALSE(net.w1.grad);
  }
  double worst = 0;
  for (std::size_t i = 0; i < w.size(); ++i)
    worst = std::max(worst, std::abs(w[i] - static_cast<double>(net.w1.value.f32()[i])));
  CHECK(worst < 1e-6);
  CHECK(std::equal(untouched.begin(), untouched.end(), net.w2.value.f32()));

  net.w1.grad = ctx.zeros({24, 40}, Layout::dense);
  net.w1.grad.f32()[5] = INFINITY;
  const float before = net.w1.value.f32()[5];
  CHECK(optimizer.step(ctx).get().skipped == 1);
  CHECK(net.w1.value.f32()[5] == before);
}

TEST_CASE("schedules") {
  CHECK(schedule_factor(Schedule::constant, 50, 100, 0) == 1);
  CHECK(schedule_factor(Schedule::cosine, 0, 100, 10) == doctest::Approx(0.1));
  CHECK(schedule_factor(Schedule::cosine, 10, 110, 10) == 1);
  CHECK(schedule_factor(Schedule::cosine, 60, 110, 10) == doctest::Approx(0.5));
  CHECK(schedule_factor(Schedule::cosine, 110, 110, 10) == doctest::Approx(0));
}
