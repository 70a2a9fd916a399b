#include "kernels/adamw.h"

#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

constexpr double kLr = 3e-4, kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8, kDecay = 0.01;
constexpr int kSteps = 20;

// torch.optim.AdamW, written out.
template <class Real>
struct Reference {
  std::vector<Real> weight, first, second;

  explicit Reference(const Buffer& start)
      : weight(values<Real>(start)), first(weight.size()), second(weight.size()) {}

  void step(const Buffer& grad, int number, double scale) {
    const auto b1 = static_cast<Real>(kBeta1), b2 = static_cast<Real>(kBeta2);
    const auto c1 = static_cast<Real>(1 - kBeta1), c2 = static_cast<Real>(1 - kBeta2);
    const auto rate = static_cast<Real>(kLr / (1 - std::pow(kBeta1, number)));
    const auto correction = static_cast<Real>(std::sqrt(1 - std::pow(kBeta2, number)));
    for (std::size_t i = 0; i < weight.size(); ++i) {
      const Real g = static_cast<Real>(grad[static_cast<std::int64_t>(i)]) * static_cast<Real>(scale);
      weight[i] *= static_cast<Real>(1 - kLr * kDecay);
      first[i] = b1 * first[i] + c1 * g;
      second[i] = b2 * second[i] + c2 * g * g;
      weight[i] -= rate * first[i] / (std::sqrt(second[i]) / correction + static_cast<Real>(kEps));
    }
  }
};

}  // namespace

TEST_CASE("AdamW against a double reference, every instruction set") {
  for (std::int64_t count : {1, 15, 17, 16383, 16385}) {
    CAPTURE(count);
    on_every_isa([&](CpuStream& stream) {
      Buffer weight({count}), first({count}), second({count}), grad({count});
      weight.randomize(1);
      Reference<double> exact(weight);
      Reference<float> naive(weight);
      for (int step = 1; step <= kSteps; ++step) {
        grad.randomize(static_cast<std::uint32_t>(100 + step));
        const float scale = step % 2 == 0 ? 1.0f : 0.25f;
        exact.step(grad, step, static_cast<double>(scale));
        naive.step(grad, step, static_cast<double>(scale));
        adamw_step({.weight = weight.begin(),
                    .first_moment = first.begin(),
                    .second_moment = second.begin(),
                    .grad = grad.begin(),
                    .count = count,
                    .lr = kLr,
                    .beta1 = kBeta1,
                    .beta2 = kBeta2,
                    .eps = kEps,
                    .weight_decay = kDecay,
                    .step = step,
                    .grad_scale = scale},
                   stream);
      }
      check_close("weight", weight, exact.weight, naive.weight);
      check_close("first moment", first, exact.first, naive.first);
      check_close("second moment", second, exact.second, naive.second);
    });
  }
}

TEST_CASE("the sum of squares adds up, to the same bits with any number of threads") {
  for (std::int64_t count : {1, 255, 257, 50021}) {
    CAPTURE(count);
    Buffer x({count});
    x.randomize(7);
    double exact = 0, first = 0;
    for (std::int64_t i = 0; i < count; ++i) exact += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    for (int threads : {1, 2, 5}) {
      CpuStream stream(threads);
      double sum = 1;
      sum_of_squares({&sum, x.begin(), count}, stream);
      CHECK(sum == doctest::Approx(exact + 1).epsilon(1e-7));
      if (threads == 1) first = sum;
      CHECK(sum == first);
    }
  }
}
