#include "kernels/adamw.h"

#include <limits>

#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8;

// One int64 or outcome where a stream's kernels look.
template <class T>
class Cell {
 public:
  explicit Cell(T value) : value_(value) {}
  T* on(CpuStream&) { return &value_; }
  T get() {
    if (device_) device_->download(&value_);
    return value_;
  }
#if defined(MG_CUDA)
  T* on(CudaStream& stream) {
    if (!device_) {
      device_ = std::make_shared<DeviceBytes>(stream, sizeof(T));
      device_->upload(&value_);
    }
    return reinterpret_cast<T*>(device_->memory());
  }
#endif

 private:
  T value_;
  std::shared_ptr<DeviceBytes> device_;
};

struct TestTensor {
  Buffer weight, first, second, grad;
  Cell<std::int64_t> steps;
  double lr, weight_decay;

  TestTensor(std::int64_t count, std::uint32_t site, std::int64_t taken = 0, double rate = 3e-4,
             double decay = 0.01)
      : weight({count}),
        first({count}),
        second({count}),
        grad({count}),
        steps(taken),
        lr(rate),
        weight_decay(decay) {
    weight.randomize(site);
    if (taken > 0) {
      first.randomize(site + 1);
      second.randomize(site + 2);
      for (std::int64_t i = 0; i < count; ++i) second[i] = std::abs(second[i]);
    }
  }
  template <class S>
  AdamWTensor on(S& stream) {
    return {weight.pointer(stream),
            first.pointer(stream),
            second.pointer(stream),
            grad.const_pointer(stream),
            steps.on(stream),
            weight.count(),
            lr,
            weight_decay};
  }
};

template <class S>
AdamWOutcome step(std::vector<TestTensor>& tensors, double max_norm, S& stream) {
  Cell<AdamWOutcome> outcome({-1, -1});
  std::vector<AdamWTensor> args;
  for (TestTensor& t : tensors) args.push_back(t.on(stream));
  adamw_step({outcome.on(stream), args, kBeta1, kBeta2, kEps, max_norm}, stream);
  return outcome.get();
}

double norm_of(const std::vector<TestTensor>& tensors) {
  double squares = 0;
  for (const TestTensor& t : tensors) {
    for (const double g : values<double>(t.grad)) squares += g * g;
  }
  return std::sqrt(squares);
}

// torch.optim.AdamW, written out for one tensor.
template <class Real>
struct Reference {
  std::vector<Real> weight, first, second;

  explicit Reference(const TestTensor& t)
      : weight(values<Real>(t.weight)), first(values<Real>(t.first)), second(values<Real>(t.second)) {}

  void step(const TestTensor& t, std::int64_t number, double scale) {
    const auto b1 = static_cast<Real>(kBeta1), b2 = static_cast<Real>(kBeta2);
    const auto c1 = static_cast<Real>(1 - kBeta1), c2 = static_cast<Real>(1 - kBeta2);
    const auto rate = static_cast<Real>(t.lr / (1 - std::pow(kBeta1, number)));
    const auto correction = static_cast<Real>(std::sqrt(1 - std::pow(kBeta2, number)));
    for (std::size_t i = 0; i < weight.size(); ++i) {
      const Real g = static_cast<Real>(t.grad[static_cast<std::int64_t>(i)]) * static_cast<Real>(scale);
      weight[i] *= static_cast<Real>(1 - t.lr * t.weight_decay);
      first[i] = b1 * first[i] + c1 * g;
      second[i] = b2 * second[i] + c2 * g * g;
      weight[i] -= rate * first[i] / (std::sqrt(second[i]) / correction + static_cast<Real>(kEps));
    }
  }
};

void check_tensor(const TestTensor& t, const Reference<double>& exact, const Reference<float>& naive) {
  check_close("weight", t.weight, exact.weight, naive.weight);
  check_close("first moment", t.first, exact.first, naive.first);
  check_close("second moment", t.second, exact.second, naive.second);
}

// 1, 7, 40 and 300 tensors: odd sizes, one of more than a chunk of the kernels, and the least there can be.
std::vector<TestTensor> many_tensors(int count) {
  std::vector<TestTensor> tensors;
  for (int i = 0; i < count; ++i) {
    const std::int64_t sizes[] = {1, 15, 17, 256, 257, 1023, 64};
    std::int64_t size = sizes[i % 7];
    if (i == 1) size = 16385;
    if (i == 2) size = 3 * 16384;
    if (count == 1) size = 16383;
    tensors.emplace_back(size, static_cast<std::uint32_t>(1000 * count + 4 * i), i % 5, 1e-4 * (1 + i % 3),
                         0.01 * (i % 2));
    tensors.back().grad.randomize(static_cast<std::uint32_t>(700'000 + i));
  }
  return tensors;
}

}  // namespace

TEST_CASE("AdamW over all tensors of a model against a double reference") {
  on_every_stream([&](auto& stream) {
    for (const int count : {1, 7, 40, 300}) {
      CAPTURE(count);
      std::vector<TestTensor> tensors = many_tensors(count);
      const double norm = norm_of(tensors);
      // Without clipping, with a limit above the norm, and below it.
      for (const double max_norm : {0.0, 2 * norm, 0.125 * norm}) {
        CAPTURE(max_norm);
        std::vector<Reference<double>> exact(tensors.begin(), tensors.end());
        std::vector<Reference<float>> naive(tensors.begin(), tensors.end());
        const double scale = max_norm > 0 && norm > max_norm ? max_norm / (norm + 1e-6) : 1;
        std::vector<std::int64_t> taken;
        for (std::size_t i = 0; i < tensors.size(); ++i) {
          taken.push_back(tensors[i].steps.get());
          exact[i].step(tensors[i], taken[i] + 1, scale);
          naive[i].step(tensors[i], taken[i] + 1, scale);
        }
        const AdamWOutcome outcome = step(tensors, max_norm, stream);
        CHECK(outcome.skipped == 0);
        CHECK(outcome.gradient_norm == doctest::Approx(norm).epsilon(1e-7));
        for (std::size_t i = 0; i < tensors.size(); ++i) {
          CAPTURE(i);
          CHECK(tensors[i].steps.get() == taken[i] + 1);
          check_tensor(tensors[i], exact[i], naive[i]);
          tensors[i].grad.check_guards();
        }
      }
    }
  });
}

TEST_CASE("twenty steps of AdamW stay with the double reference") {
  on_every_stream([&](auto& stream) {
    std::vector<TestTensor> tensors;
    tensors.emplace_back(1025, 1);
    Reference<double> exact(tensors[0]);
    Reference<float> naive(tensors[0]);
    for (int number = 1; number <= 20; ++number) {
      tensors[0].grad.randomize(static_cast<std::uint32_t>(100 + number));
      exact.step(tensors[0], number, 1);
      naive.step(tensors[0], number, 1);
      step(tensors, 0, stream);
    }
    CHECK(tensors[0].steps.get() == 20);
    check_tensor(tensors[0], exact, naive);
  });
}

TEST_CASE("a gradient that is not finite leaves weights, moments and step numbers alone") {
  on_every_stream([&](auto& stream) {
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN(), 1e30f}) {  // its square is not finite
      CAPTURE(bad);
      std::vector<TestTensor> tensors = many_tensors(40);
      tensors[2].grad[3 * 16384 - 1] = bad;
      const std::vector<Reference<float>> before(tensors.begin(), tensors.end());
      std::vector<std::int64_t> taken;
      for (TestTensor& t : tensors) taken.push_back(t.steps.get());
      const AdamWOutcome outcome = step(tensors, 1.0, stream);
      CHECK(outcome.skipped == 1);
      CHECK(!std::isfinite(outcome.gradient_norm));
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        CAPTURE(i);
        CHECK(tensors[i].steps.get() == taken[i]);
        CHECK(values<float>(tensors[i].weight) == before[i].weight);
        CHECK(values<float>(tensors[i].first) == before[i].first);
        CHECK(values<float>(tensors[i].second) == before[i].second);
      }
    }
  });
}

TEST_CASE("the norm has the same bits with any number of threads") {
  if (on_cuda()) return;
  double first = 0;
  for (const int threads : {1, 2, 5}) {
    std::vector<TestTensor> tensors = many_tensors(7);
    CpuStream stream(threads);
    const double norm = step(tensors, 0, stream).gradient_norm;
    if (threads == 1) first = norm;
    CHECK(norm == first);
  }
}
