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

template <class Real>
std::vector<Real> scaled_channels(const Buffer& x, const Buffer& factor) {
  std::vector<Real> out = values<Real>(x);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] *= static_cast<Real>(factor[static_cast<std::int64_t>(i) % factor.count()]);
  }
  return out;
}

// The sums of dy * x over all that a factor multiplied, of one factor a channel or one for all.
template <class Real>
std::vector<Real> factor_gradient(const Buffer& dy, const Buffer& x, std::int64_t factors) {
  std::vector<Real> out(static_cast<std::size_t>(factors));
  for (std::int64_t i = 0; i < x.count(); ++i) {
    out[static_cast<std::size_t>(i % factors)] += static_cast<Real>(dy[i]) * static_cast<Real>(x[i]);
  }
  return out;
}

}  // namespace

TEST_CASE("add and scale_channels against a naive reference") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    std::uint32_t site = 1000;
    for (const RowCase& t : row_cases()) {
      CAPTURE(t.name);
      // b and the outputs: dense where a is pitched.
      Buffer a(t.shape(), t.pitch(), type), b(t.shape(), t.channels, type), factor({t.channels});
      for (Buffer* buffer : {&a, &b, &factor}) buffer->randomize(++site);
      Buffer y(t.shape(), t.pitch(), type);
      y.poison(on_cuda());
      add_forward({y.view(stream), a.const_view(stream), b.const_view(stream)}, stream);
      check_both("sum", y,
                 [&]<class Real>(Real) { return map<Real>([](Real p, Real q) { return p + q; }, a, b); });
      y.poison(on_cuda());
      scale_channels_forward({y.view(stream), a.const_view(stream), factor.const_pointer(stream)}, stream);
      check_both("channels scaled", y, [&]<class Real>(Real) { return scaled_channels<Real>(a, factor); });
      Buffer dfactor({t.channels}), dfactor_of_all({1}), one({1});
      one[0] = 0.625f;
      y.poison(on_cuda());
      scale_channels_forward({y.view(stream), a.const_view(stream), one.const_pointer(stream), true}, stream);
      check_both("all scaled", y, [&]<class Real>(Real) { return scaled_channels<Real>(a, one); });
      dfactor.poison();
      dfactor_of_all.poison();
      scale_channels_backward_factor({dfactor.pointer(stream), b.const_view(stream), a.const_view(stream)},
                                     stream);
      scale_channels_backward_factor(
          {dfactor_of_all.pointer(stream), b.const_view(stream), a.const_view(stream), true}, stream);
      check_both("dfactor", dfactor,
                 [&]<class Real>(Real) { return factor_gradient<Real>(b, a, t.channels); });
      check_both("dfactor of all", dfactor_of_all,
                 [&]<class Real>(Real) { return factor_gradient<Real>(b, a, 1); });
    }
  });
}

TEST_CASE("scale is the cast and the repacking: any two element types and pitches") {
  on_every_stream_and_type([&](auto& stream, DType from) {
    std::uint32_t site = 1050;
    for (const RowCase& t : row_cases()) {
      Buffer x(t.shape(), t.pitch(), from);
      x.randomize(++site);
      for (const DType to : {DType::f32, DType::bf16}) {
        for (const std::int64_t pitch : {t.channels, round_up(t.channels, kChannelAlign)}) {
          CAPTURE(t.name);
          CAPTURE(size_of(to));
          CAPTURE(pitch);
          Buffer y(t.shape(), pitch, to), cast(t.shape(), pitch, to);
          y.poison(on_cuda());
          cast.poison(on_cuda());
          scale_forward({y.view(stream), x.const_view(stream), -1.7f}, stream);
          check_both("scaled", y, [&]<class Real>(Real) {
            return map<Real>([](Real p, Real) { return static_cast<Real>(-1.7f) * p; }, x, x);
          });
          scale_forward({cast.view(stream), x.const_view(stream), 1.0f}, stream);
          for (std::int64_t i = 0; i < x.count(); ++i) {
            REQUIRE(cast[i] == (to == DType::bf16 ? to_float(to_bfloat16(x[i])) : x[i]));
          }
          cast.check_guards();
        }
      }
    }
  });
}

TEST_CASE("an operation may write where it reads") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    Buffer a({65, 45}, 48, type), b({65, 45}, 48, type);
    a.randomize(1);
    b.randomize(2);
    const Buffer before = a;
    const ConstView input =
        a.const_view(stream);  // the view to write is taken last: the buffer then looks there
    add_forward({a.view(stream), input, b.const_view(stream)}, stream);
    check_both("sum", a,
               [&]<class Real>(Real) { return map<Real>([](Real p, Real q) { return p + q; }, before, b); });
  });
}

TEST_CASE("activations and their slopes against a naive reference") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    std::uint32_t site = 1100;
    for (const RowCase& t : row_cases()) {
      Buffer x(t.shape(), t.pitch(), type), dy(t.shape(), t.pitch(), type);
      x.randomize(++site);
      dy.randomize(++site);
      for (std::int64_t i = 0; i < x.count(); ++i) {
        x[i] *= 6;
        if (type == DType::bf16) x[i] = to_float(to_bfloat16(x[i]));
      }
      for (Activation kind : {Activation::none, Activation::relu, Activation::gelu, Activation::quick_gelu}) {
        CAPTURE(t.name);
        CAPTURE(static_cast<int>(kind));
        Buffer y(t.shape(), t.pitch(), type), dx(t.shape(), t.pitch(), type);
        y.poison(on_cuda());
        dx.poison(on_cuda());
        activation_forward({y.view(stream), x.const_view(stream), kind}, stream);
        activation_backward({dx.view(stream), dy.const_view(stream), x.const_view(stream), kind}, stream);
        check_both("y", y, [&]<class Real>(Real) {
          return map<Real>([&](Real p, Real) { return activation(kind, p); }, x, dy);
        });
        check_both("dx", dx, [&]<class Real>(Real) {
          return map<Real>([&](Real p, Real g) { return g * slope(kind, p); }, x, dy);
        });
      }
    }
  });
}

TEST_CASE("dropout keeps what the numbers of an element say, whatever the batch split") {
  constexpr std::int64_t kSamples = 6, kRows = 5;
  const RandomKey key{7, 3, random_site("test")};
  on_every_stream_and_type([&](auto& stream, DType type) {
    // 45: elements of a row begin anywhere in a group of four; 44 and 48: whole groups, with and without
    // padding.
    for (const std::int64_t channels : {45, 44, 48, 7}) {
      for (const bool dense : {false, true}) {
        CAPTURE(channels);
        CAPTURE(dense);
        const std::int64_t pitch = dense ? channels : round_up(channels, kChannelAlign);
        Buffer x({kSamples * kRows, channels}, pitch, type);
        Buffer middle({2 * kRows, channels}, pitch, type);
        x.randomize(1);
        for (std::int64_t i = 0; i < middle.count(); ++i) middle[i] = x[2 * kRows * channels + i];
        Buffer whole(x.shape(), pitch, type), part(middle.shape(), pitch, type);
        whole.poison(on_cuda());
        part.poison(on_cuda());
        dropout({whole.view(stream), x.const_view(stream), {0.3f, key, 10, kRows}}, stream);
        std::int64_t kept = 0;
        for (std::int64_t i = 0; i < x.count(); ++i) {
          const std::int64_t sample = i / (kRows * channels), element = i % (kRows * channels);
          const Philox4 bits =
              key.draw(static_cast<std::uint32_t>(10 + sample), static_cast<std::uint32_t>(element / 4));
          const bool keep = uniform01(bits.v[element % 4]) >= 0.3f;
          kept += keep ? 1 : 0;
          const float value = keep ? x[i] * (1.0f / (1.0f - 0.3f)) : 0.0f;
          REQUIRE(whole[i] == (type == DType::bf16 ? to_float(to_bfloat16(value)) : value));
        }
        CHECK(static_cast<double>(kept) / static_cast<double>(x.count()) ==
              doctest::Approx(0.7).epsilon(0.1));
        whole.check_guards();
        // Samples 2 and 3 alone.
        dropout({part.view(stream), middle.const_view(stream), {0.3f, key, 12, kRows}}, stream);
        for (std::int64_t i = 0; i < part.count(); ++i) REQUIRE(part[i] == whole[2 * kRows * channels + i]);
        part.check_guards();
      }
    }
  });
}
