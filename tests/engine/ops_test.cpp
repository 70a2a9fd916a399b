#include "engine/op_cases.h"
#include "op_cases/conv3d_cases.h"
#include "op_cases/linear_cases.h"

using namespace mg;
using namespace mg::test;

namespace {

OpCase conv3d_gradient_case(const Conv3dCase& test) {
  auto op = [g = test.geometry](Context& ctx, const std::vector<Value>& in) {
    return conv3d(ctx, in[0], in[1], g);
  };
  auto reference = [test](const auto& in) {
    const Conv3dGeometry& g = test.geometry;
    const Shape x = test.x, y = test.y();
    const std::int64_t taps = test.w().count() / test.outputs / x[4];
    std::decay_t<decltype(in[0])> out(static_cast<std::size_t>(y.count()));
    for (std::int64_t i = 0; i < y.count(); ++i) {
      const std::int64_t k = i % y[4], row = i / y[4];
      const std::int64_t ow = row % y[3], oh = row / y[3] % y[2], ot = row / y[3] / y[2] % y[1],
                         n = row / y[3] / y[2] / y[1];
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        const std::int64_t t = ot * g.stride[0] + tap / g.kernel[2] / g.kernel[1] - g.padding[0];
        const std::int64_t h = oh * g.stride[1] + tap / g.kernel[2] % g.kernel[1] - g.padding[1];
        const std::int64_t w = ow * g.stride[2] + tap % g.kernel[2] - g.padding[2];
        if (t < 0 || h < 0 || w < 0 || t >= x[1] || h >= x[2] || w >= x[3]) continue;
        for (std::int64_t c = 0; c < x[4]; ++c) {
          out[static_cast<std::size_t>(i)] +=
              in[0][static_cast<std::size_t>((((n * x[1] + t) * x[2] + h) * x[3] + w) * x[4] + c)] *
              in[1][static_cast<std::size_t>((k * x[4] + c) * taps + tap)];
        }
      }
    }
    return out;
  };
  return op_case("conv3d " + test.name, {test.x, test.w()}, {test.x_pitch > 0, true}, op, reference);
}

OpCase linear_gradient_case(const LinearCase& test) {
  auto op = [test](Context& ctx, const std::vector<Value>& in) {
    return linear(ctx, in[0], in[1], test.bias ? in[2] : Value(), test.activation);
  };
  auto reference = [test](const auto& in) {
    std::decay_t<decltype(in[0])> y;
    for (std::int64_t r = 0; r < test.rows; ++r) {
      for (std::int64_t k = 0; k < test.outputs; ++k) {
        typename std::decay_t<decltype(in[0])>::value_type sum =
            test.bias ? in[2][static_cast<std::size_t>(k)] : 0;
        for (std::int64_t c = 0; c < test.channels; ++c) {
          sum += in[0][static_cast<std::size_t>(r * test.channels + c)] *
                 in[1][static_cast<std::size_t>(k * test.channels + c)];
        }
        y.push_back(activation_reference(test.activation, sum));
      }
    }
    return y;
  };
  std::vector<Shape> shapes{{test.rows, test.channels}, {test.outputs, test.channels}};
  std::vector<bool> parameter{false, true};
  if (test.bias) {
    shapes.push_back({test.outputs});
    parameter.push_back(true);
  }
  return op_case("linear " + test.name, shapes, parameter, op, reference);
}

// Each case is dear: of the instruction sets only the widest.
std::vector<NamedContext> widest_contexts() {
  std::vector<NamedContext> all = contexts();
  if (all.size() > 2) all.erase(all.begin(), all.end() - 2);
  return all;
}

}  // namespace

TEST_CASE("every operation: output against a double reference, gradient against central differences") {
  for (const NamedContext& where : contexts()) {
    for (const OpCase& test : op_cases()) check_op(test, where);
  }
}

TEST_CASE("convolutions: gradients by central differences") {
  for (const Conv3dCase& test : conv3d_cases()) {
    if (test.flops() > 4e6)
      continue;  // the reference is evaluated eighty times; conv3d_test covers the large ones
    for (const NamedContext& where : widest_contexts()) check_op(conv3d_gradient_case(test), where);
  }
}

TEST_CASE("linear layers: gradients by central differences") {
  for (const LinearCase& test : linear_cases()) {
    if (test.rows * test.channels * test.outputs > 1000000) continue;
    for (const NamedContext& where : widest_contexts()) check_op(linear_gradient_case(test), where);
  }
}

TEST_CASE("contrastive targets: the published values") {
  // softmax(10 * labels) over 32 pairs with one and with four positives.
  const double one = std::exp(10.0) / (std::exp(10.0) + 31),
               four = std::exp(10.0) / (4 * std::exp(10.0) + 28);
  CHECK(one == doctest::Approx(.9985946).epsilon(1e-6));
  CHECK(four == doctest::Approx(.25 * .9996823).epsilon(1e-6));
  // With similarities equal to the label matrix times 10 the divergence is zero; with all similarities equal
  // it is log(n) - entropy(target).
  Context ctx(CpuStream(1));
  constexpr std::int64_t kClips = 32;
  Tensor v = ctx.zeros({kClips, 32}), t = ctx.zeros({kClips, 32}), positives = ctx.zeros({kClips, kClips});
  std::vector<std::int32_t> counts(kClips, 1);
  for (std::int64_t i = 0; i < kClips; ++i)
    v.f32()[i * 32 + i] = t.f32()[i * 32 + i] = positives.f32()[i * 32 + i] = 1;
  CHECK(contrastive_loss(ctx, {v}, {t}, positives, counts, {0.1f, 10}).data.at(0) ==
        doctest::Approx(0).epsilon(1e-6));
  const double off = 1 / (std::exp(10.0) + 31);
  const double entropy = -one * std::log(one) - 31 * off * std::log(off);
  v.fill_zero();
  CHECK(contrastive_loss(ctx, {v}, {t}, positives, counts, {0.1f, 10}).data.at(0) ==
        doctest::Approx(std::log(32.0) - entropy).epsilon(1e-6));
  // l1 makes a one-hot of it, whose entropy is 0, at any label scale.
  CHECK(contrastive_loss(ctx, {v}, {t}, positives, counts, {0.1f, 3, ContrastiveTarget::l1}).data.at(0) ==
        doctest::Approx(std::log(32.0)).epsilon(1e-6));
  positives.f32()[5 * 32 + 5] = 0;
  CHECK_THROWS_WITH_AS(contrastive_loss(ctx, {v}, {t}, positives, counts, {0.1f, 10, ContrastiveTarget::l1}),
                       "contrastive_loss: l1 targets need a positive in every row and column, row 5 has none",
                       Error);
  positives.f32()[5 * 32 + 6] = 1;
  CHECK_THROWS_WITH_AS(contrastive_loss(ctx, {v}, {t}, positives, counts, {0.1f, 10, ContrastiveTarget::l1}),
                       doctest::Contains("column 5 has none"), Error);
}

TEST_CASE("operations name what they expected and what came") {
  Context ctx(CpuStream(1));
  const Value a{ctx.zeros({2, 3})}, b{ctx.zeros({2, 4})};
  CHECK_THROWS_WITH_AS(add(ctx, a, b), "add: f32 [2, 3] and f32 [2, 4] differ", Error);
  CHECK_THROWS_WITH_AS(linear(ctx, a, b, {}),
                       "linear: expected x [..., C] and w [K, C], got [2, 3] and [2, 4]", Error);
  const std::vector<std::int32_t> bad{0, 2};
  CHECK_THROWS_WITH_AS(gather_rows(ctx, a, bad, {2, 3}), "gather_rows: index 2 is outside [0, 2)", Error);
}
