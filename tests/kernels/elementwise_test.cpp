#include "kernels/elementwise.h"

#include "op_cases/row_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

template <class Real>
Real activation(Activation kind, Real x) {
  const Real half = static_cast<Real>(0.5), root = std::sqrt(half);
  if (kind == Activation::relu) return x > 0 ? x : 0;
  if (kind == Activation::gelu) return half * x * (1 + std::erf(x * root));
  if (kind == Activation::quick_gelu) return x / (1 + std::exp(static_cast<Real>(-1.702) * x));
  return x;
}

template <class Real>
Real slope(Activation kind, Real x) {
  const Real half = static_cast<Real>(0.5), root = std::sqrt(half);
  if (kind == Activation::relu) return x > 0 ? 1 : 0;
  if (kind == Activation::gelu) {
    return half * (1 + std::erf(x * root)) +
           x * std::exp(-half * x * x) * static_cast<Real>(0.39894228040143267794);
  }
  if (kind == Activation::quick_gelu) {
    const Real a = static_cast<Real>(1.702), s = 1 / (1 + std::exp(-a * x));
    return s + a * x * s * (1 - s);
  }
  return 1;
}

// f element by element over tensors of one shape.
template <class Real, class F>
std::vector<Real> map(F f, const Buffer& a, const Buffer& b) {
  std::vector<Real> out;
  for (std::int64_t i = 0; i < a.count(); ++i) {
    out.push_back(f(static_cast<Real>(a[i]), static_cast<Real>(b[i])));
  }
  return out;
}

}  // namespace

TEST_CASE("add, scale and scale_channels against a naive reference") {
  std::uint32_t site = 1000;
  for (const RowCase& t : row_cases()) {
    CAPTURE(t.name);
    Buffer a(t.shape(), t.pitch()), b(t.shape(), t.channels), factor({t.channels});
    for (Buffer* buffer : {&a, &b, &factor}) buffer->randomize(++site);
    on_every_isa([&](CpuStream& stream) {
      Buffer y(t.shape(), t.pitch());
      y.poison();
      add_forward({y.view(), a.const_view(), b.const_view()}, stream);
      check_both("sum", y,
                 [&]<class Real>(Real) { return map<Real>([](Real p, Real q) { return p + q; }, a, b); });
      y.poison();
      scale_forward({y.view(), a.const_view(), -1.7f}, stream);
      check_both("scaled", y, [&]<class Real>(Real) {
        return map<Real>([](Real p, Real) { return static_cast<Real>(-1.7f) * p; }, a, b);
      });
      y.poison();
      scale_channels_forward({y.view(), a.const_view(), factor.begin()}, stream);
      check_both("channels scaled", y, [&]<class Real>(Real) {
        std::vector<Real> out = values<Real>(a);
        for (std::size_t i = 0; i < out.size(); ++i) {
          out[i] *= static_cast<Real>(factor[static_cast<std::int64_t>(i) % t.channels]);
        }
        return out;
      });
      Buffer dfactor({t.channels});
      dfactor.poison();
      scale_channels_backward_factor({dfactor.begin(), b.const_view(), a.const_view()}, stream);
      check_both("dfactor", dfactor, [&]<class Real>(Real) {
        std::vector<Real> out(static_cast<std::size_t>(t.channels));
        for (std::int64_t i = 0; i < a.count(); ++i) {
          out[static_cast<std::size_t>(i % t.channels)] += static_cast<Real>(a[i]) * static_cast<Real>(b[i]);
        }
        return out;
      });
    });
  }
}

TEST_CASE("activations and their slopes against a naive reference") {
  std::uint32_t site = 1100;
  for (const RowCase& t : row_cases()) {
    Buffer x(t.shape(), t.pitch()), dy(t.shape(), t.pitch());
    x.randomize(++site);
    dy.randomize(++site);
    for (std::int64_t i = 0; i < x.count(); ++i) x[i] *= 6;
    for (Activation kind : {Activation::none, Activation::relu, Activation::gelu, Activation::quick_gelu}) {
      CAPTURE(t.name);
      CAPTURE(static_cast<int>(kind));
      on_every_isa([&](CpuStream& stream) {
        Buffer y(t.shape(), t.pitch()), dx(t.shape(), t.pitch());
        y.poison();
        dx.poison();
        activation_forward({y.view(), x.const_view(), kind}, stream);
        activation_backward({dx.view(), dy.const_view(), x.const_view(), kind}, stream);
        check_both("y", y, [&]<class Real>(Real) {
          return map<Real>([&](Real p, Real) { return activation(kind, p); }, x, dy);
        });
        check_both("dx", dx, [&]<class Real>(Real) {
          return map<Real>([&](Real p, Real g) { return g * slope(kind, p); }, x, dy);
        });
      });
    }
  }
}

TEST_CASE("dropout keeps what the numbers of an element say, whatever the batch split") {
  constexpr std::int64_t kSamples = 6, kRows = 5, kChannels = 45;
  const RandomKey key{7, 3, random_site("test")};
  Buffer x({kSamples * kRows, kChannels}, 48);
  x.randomize(1);
  on_every_isa([&](CpuStream& stream) {
    Buffer whole(x.shape(), 48), part({2 * kRows, kChannels}, 48);
    whole.poison();
    part.poison();
    dropout({whole.view(), x.const_view(), 0.3f, key, 10, kRows}, stream);
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const std::int64_t sample = i / (kRows * kChannels), element = i % (kRows * kChannels);
      const Philox4 bits =
          key.draw(static_cast<std::uint32_t>(10 + sample), static_cast<std::uint32_t>(element / 4));
      const bool keep = uniform01(bits.v[element % 4]) >= 0.3f;
      kept += keep ? 1 : 0;
      REQUIRE(whole[i] == (keep ? x[i] * (1.0f / (1.0f - 0.3f)) : 0.0f));
    }
    CHECK(static_cast<double>(kept) / static_cast<double>(x.count()) == doctest::Approx(0.7).epsilon(0.05));
    whole.check_guards();
    // Samples 2 and 3 alone.
    const ConstView middle(x.begin() + 2 * kRows * 48, DType::f32, part.shape(), 48);
    dropout({part.view(), middle, 0.3f, key, 12, kRows}, stream);
    for (std::int64_t i = 0; i < part.count(); ++i) REQUIRE(part[i] == whole[2 * kRows * kChannels + i]);
  });
}
