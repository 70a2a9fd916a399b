#include "op_cases/conv3d_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

// Calls f(output row, tap, input row) for every product of the convolution that is not in the padding.
template <class F>
void for_each_product(const Conv3dCase& test, F f) {
  const Conv3dGeometry& g = test.geometry;
  const Shape x = test.x, y = test.y();
  for (std::int64_t row = 0; row < y.rows(); ++row) {
    const std::int64_t ow = row % y[3], oh = row / y[3] % y[2], ot = row / y[3] / y[2] % y[1],
                       n = row / y[3] / y[2] / y[1];
    std::int64_t tap = 0;
    for (int i = 0; i < g.kernel[0]; ++i) {
      for (int j = 0; j < g.kernel[1]; ++j) {
        for (int l = 0; l < g.kernel[2]; ++l, ++tap) {
          const std::int64_t t = ot * g.stride[0] + i - g.padding[0], h = oh * g.stride[1] + j - g.padding[1],
                             w = ow * g.stride[2] + l - g.padding[2];
          if (t < 0 || h < 0 || w < 0 || t >= x[1] || h >= x[2] || w >= x[3]) continue;
          f(row, tap, ((n * x[1] + t) * x[2] + h) * x[3] + w);
        }
      }
    }
  }
}

template <class Accum>
struct Reference {
  std::vector<Accum> y, dx, dw;

  Reference(const Conv3dCase& test, const Buffer& x, const Buffer& w, const Buffer& dy)
      : y(static_cast<std::size_t>(dy.count())),
        dx(static_cast<std::size_t>(x.count())),
        dw(static_cast<std::size_t>(w.count())) {
    const std::int64_t channels = test.x[4], taps = test.w().count() / test.outputs / channels;
    for_each_product(test, [&](std::int64_t out, std::int64_t tap, std::int64_t in) {
      for (std::int64_t k = 0; k < test.outputs; ++k) {
        for (std::int64_t c = 0; c < channels; ++c) {
          const auto wi = static_cast<std::size_t>((k * channels + c) * taps + tap);
          const auto xi = static_cast<std::size_t>(in * channels + c);
          const auto yi = static_cast<std::size_t>(out * test.outputs + k);
          const auto xv = static_cast<Accum>(x.at(in, c)), dyv = static_cast<Accum>(dy.at(out, k));
          const auto wv = static_cast<Accum>(w.begin()[wi]);
          y[yi] += xv * wv;
          dx[xi] += dyv * wv;
          dw[wi] += dyv * xv;
        }
      }
    });
  }
};

struct Run {
  Buffer y, dx, dw;
  Run(const Conv3dCase& test, const Buffer& x, const Buffer& w, const Buffer& dy, CpuStream& stream)
      : y(test.y(), round_up(test.outputs, kChannelAlign)),
        dx(test.x, round_up(test.x[4], kChannelAlign)),
        dw(test.w()) {
    y.poison();
    dx.poison();
    dw.poison();
    conv3d_forward({.y = y.view(),
                    .x = x.const_view(),
                    .w = w.const_view(),
                    .geometry = test.geometry,
                    .input = {},
                    .epilogue = {}},
                   stream);
    conv3d_backward_data({dx.view(), dy.const_view(), w.const_view(), test.geometry}, stream);
    conv3d_backward_weight({dw.view(), x.const_view(), dy.const_view(), test.geometry}, stream);
  }
};

bool same_bits(const Buffer& a, const Buffer& b) {
  return std::equal(a.begin(), a.begin() + a.count(), b.begin());
}

}  // namespace

TEST_CASE(
    "convolution against a naive double reference, every instruction set, same bits at any number of "
    "threads") {
  std::uint32_t site = 0;
  for (const Conv3dCase& test : conv3d_cases()) {
    CAPTURE(test.name);
    Buffer x(test.x, test.x_pitch > 0 ? test.x_pitch : round_up(test.x[4], kChannelAlign));
    Buffer w(test.w());
    Buffer dy(test.y(), round_up(test.outputs, kChannelAlign));
    x.randomize(++site);
    w.randomize(++site);
    dy.randomize(++site);
    const Reference<double> exact(test, x, w, dy);
    const Reference<float> naive(test, x, w, dy);
    for (Isa isa : supported_isas()) {
      CAPTURE(to_string(isa));
      CpuStream one(1, isa), three(3, isa);
      const Run run(test, x, w, dy, one);
      check_close("y", run.y, exact.y, naive.y);
      check_close("dx", run.dx, exact.dx, naive.dx);
      check_close("dw", run.dw, exact.dw, naive.dw);
      const Run threaded(test, x, w, dy, three);
      CHECK(same_bits(run.y, threaded.y));
      CHECK(same_bits(run.dx, threaded.dx));
      CHECK(same_bits(run.dw, threaded.dw));
    }
  }
}

TEST_CASE("convolution's input transform and epilogue") {
  const Conv3dCase test{"", {1, 2, 5, 6, 9}, 21, spatial(3, 1)};
  Buffer x(test.x, 16), w(test.w()), scale({9}), shift({9}), bias({21}), residual(test.y(), 32);
  x.randomize(1), w.randomize(2), scale.randomize(3), shift.randomize(4), bias.randomize(5),
      residual.randomize(6);
  Buffer transformed(test.x, 16);
  for (std::int64_t i = 0; i < x.count(); ++i)
    transformed[i] = std::max(0.0f, scale[i % 9] * x[i] + shift[i % 9]);
  Buffer unused(test.y(), 32);
  auto finish = [&](auto sums) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const auto pre = sums[i] + static_cast<decltype(sums[i] + 0)>(bias[at % 21]);
      sums[i] = (pre > 0 ? pre : 0) + static_cast<decltype(sums[i] + 0)>(residual[at]);
    }
    return sums;
  };
  const auto exact = finish(Reference<double>(test, transformed, w, unused).y);
  const auto naive = finish(Reference<float>(test, transformed, w, unused).y);
  for (Isa isa : supported_isas()) {
    CAPTURE(to_string(isa));
    CpuStream stream(2, isa);
    Buffer y(test.y(), 32);
    y.poison();
    conv3d_forward({.y = y.view(),
                    .x = x.const_view(),
                    .w = w.const_view(),
                    .geometry = test.geometry,
                    .input = {scale.begin(), shift.begin(), true},
                    .epilogue = {bias.begin(), Activation::relu, residual.const_view()}},
                   stream);
    check_close("y", y, exact, naive);
  }
}
