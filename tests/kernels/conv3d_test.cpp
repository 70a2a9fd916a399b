#include <type_traits>

#include "kernels/cuda/vendor.h"
#include "op_cases/conv3d_cases.h"
#include "reference.h"
#include "tensor_cores.h"

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
    const auto xs = values<Accum>(x), ws = values<Accum>(w), dys = values<Accum>(dy);
    for_each_product(test, [&](std::int64_t out, std::int64_t tap, std::int64_t in) {
      for (std::int64_t k = 0; k < test.outputs; ++k) {
        const auto yi = static_cast<std::size_t>(out * test.outputs + k);
        for (std::int64_t c = 0; c < channels; ++c) {
          const auto wi = static_cast<std::size_t>((k * channels + c) * taps + tap);
          const auto xi = static_cast<std::size_t>(in * channels + c);
          y[yi] += xs[xi] * ws[wi];
          dx[xi] += dys[yi] * ws[wi];
          dw[wi] += dys[yi] * xs[xi];
        }
      }
    });
  }
};

// The operands of a case. bf16 weights hold rounded numbers: as bf16, or, for every other case, as the fp32
// ones that the optimizer keeps.
struct Operands {
  Buffer x, w, dy;
  Operands(const Conv3dCase& test, DType type, std::uint32_t site)
      : x(test.x, test.x_pitch > 0 ? test.x_pitch : round_up(test.x[4], kChannelAlign), type),
        w(test.w(), 0, site % 2 == 0 ? type : DType::f32),
        dy(test.y(), round_up(test.outputs, kChannelAlign), type) {
    Buffer rounded(test.w(), 0, type);
    x.randomize(3 * site);
    rounded.randomize(3 * site + 1);
    dy.randomize(3 * site + 2);
    for (std::int64_t i = 0; i < w.count(); ++i) w[i] = rounded[i];
  }
};

template <class S>
constexpr bool is_cuda(const S&) {
  return std::is_same_v<S, CudaStream>;
}

struct Run {
  Buffer y, dx, dw;
  template <class S>
  Run(const Conv3dCase& test, const Operands& in, S& stream)
      : y(test.y(), round_up(test.outputs, kChannelAlign), in.x.dtype()),
        dx(test.x, test.x_pitch > 0 ? test.x_pitch : round_up(test.x[4], kChannelAlign), in.x.dtype()),
        dw(test.w()) {
    for (Buffer* buffer : {&y, &dx, &dw}) buffer->poison(is_cuda(stream));
    conv3d_forward({.y = y.view(stream),
                    .x = in.x.const_view(stream),
                    .w = in.w.const_view(stream),
                    .geometry = test.geometry,
                    .input = {},
                    .epilogue = {}},
                   stream);
    conv3d_backward_data({dx.view(stream), in.dy.const_view(stream), in.w.const_view(stream), test.geometry},
                         stream);
    conv3d_backward_weight(
        {dw.view(stream), in.x.const_view(stream), in.dy.const_view(stream), test.geometry}, stream);
  }
  void check(const Conv3dCase& test, const Reference<double>& exact, const Reference<float>& naive,
             bool tf32 = false) const {
    const std::int64_t taps = test.w().count() / test.outputs / test.x[4];
    auto floor = [&](std::int64_t depth) { return sum_floor(y.dtype(), tf32, depth); };
    check_close("y", y, exact.y, naive.y, floor(taps * test.x[4]));
    check_close("dx", dx, exact.dx, naive.dx, floor(taps * test.outputs));
    check_close("dw", dw, exact.dw, naive.dw, floor(test.y().rows()));
  }
};

bool same_bits(const Buffer& a, const Buffer& b) {
  return std::equal(a.begin(), a.begin() + a.count(), b.begin());
}

}  // namespace

TEST_CASE("convolution against a naive double reference") {
  std::uint32_t site = 0;
  for (const Conv3dCase& test : conv3d_cases()) {
    CAPTURE(test.name);
    ++site;
    for (const DType type : {DType::f32, DType::bf16}) {
      CAPTURE(size_of(type));
      const Operands in(test, type, site);
      const Reference<double> exact(test, in.x, in.w, in.dy);
      const Reference<float> naive(test, in.x, in.w, in.dy);
      on_every_stream([&](auto& stream) {
        const Run run(test, in, stream);
        run.check(test, exact, naive);
        const Run again(test, in, stream);
        CHECK(same_bits(run.y, again.y));
        CHECK(same_bits(run.dx, again.dx));
        CHECK(same_bits(run.dw, again.dw));
      });
    }
  }
}

TEST_CASE("convolution gives the same bits at any number of threads") {
  std::uint32_t site = 0;
  for (const Conv3dCase& test : conv3d_cases()) {
    CAPTURE(test.name);
    const Operands in(test, DType::f32, ++site);
    on_every_isa([&](CpuStream& stream) {
      CpuStream one(1, stream.isa()), three(3, stream.isa());
      const Run a(test, in, one), b(test, in, three);
      CHECK(same_bits(a.y, b.y));
      CHECK(same_bits(a.dx, b.dx));
      CHECK(same_bits(a.dw, b.dw));
    });
  }
}

#if defined(MG_CUDA)
TEST_CASE("convolution in tf32 is that of operands rounded to 11 bits") {
  if (!on_cuda()) return;
  std::uint32_t site = 50;
  for (const Conv3dCase& test : conv3d_cases()) {
    CAPTURE(test.name);
    const Operands in(test, DType::f32, ++site);
    Operands rounded(test, DType::f32, site);
    for (Buffer* buffer : {&rounded.x, &rounded.w, &rounded.dy}) {
      for (std::int64_t i = 0; i < buffer->count(); ++i) (*buffer)[i] = round_to_tf32((*buffer)[i]);
    }
    const Reference<double> exact(test, rounded.x, rounded.w, rounded.dy);
    const Reference<float> naive(test, rounded.x, rounded.w, rounded.dy);
    CudaStream stream;
    stream.set_tf32(true);
    const Run run(test, in, stream);
    run.check(test, exact, naive, true);
  }
}

// Where there is a GPU, cuDNN works; elsewhere it gives up and our kernels do: with the same result.
TEST_CASE("convolution on a stream that asks for the vendor's library") {
  if (!on_cuda()) return;
  const Conv3dCase test{"", {1, 2, 9, 8, 32}, 48, spatial(3, 1)};
  const Operands in(test, DType::f32, 1);
  const Reference<double> exact(test, in.x, in.w, in.dy);
  const Reference<float> naive(test, in.x, in.w, in.dy);
  CudaStream stream;
  stream.set_vendor(true);
  Run(test, in, stream).check(test, exact, naive);
}

#if defined(MG_CUDNN)
TEST_CASE("cuDNN takes our descriptions of convolutions, which it checks without a GPU") {
  if (!on_cuda()) return;
  int described = 0;
  for (const Conv3dCase& test : conv3d_cases()) {
    CAPTURE(test.name);
    for (const DType type : {DType::f32, DType::bf16}) {
      const ConstView x(nullptr, type, test.x,
                        test.x_pitch > 0 ? test.x_pitch : round_up(test.x[4], kChannelAlign));
      const ConstView y(nullptr, type, test.y(), round_up(test.outputs, kChannelAlign));
      const std::optional<bool> taken = cuda::vendor_describes(x, y, test.geometry);
      if (!taken) continue;
      CHECK(*taken);
      ++described;
    }
  }
  MESSAGE(described, " convolutions described");
}
#endif
#endif

TEST_CASE("convolution's input transform and epilogue") {
  const Conv3dCase test{"", {1, 2, 5, 6, 9}, 21, spatial(3, 1)};
  on_every_stream_and_type([&](auto& stream, DType type) {
    Buffer x(test.x, 16, type), w(test.w(), 0, type), scale({9}), shift({9}), bias({21});
    Buffer residual(test.y(), 32, type);
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
    Buffer y(test.y(), 32, type);
    y.poison(is_cuda(stream));
    conv3d_forward({.y = y.view(stream),
                    .x = x.const_view(stream),
                    .w = w.const_view(stream),
                    .geometry = test.geometry,
                    .input = {scale.const_pointer(stream), shift.const_pointer(stream), true},
                    .epilogue = {.bias = bias.const_pointer(stream),
                                 .activation = Activation::relu,
                                 .dropout = {},
                                 .residual = residual.const_view(stream)}},
                   stream);
    // 81 products a sum, of transformed inputs rounded to bf16: each is off by at most 2^-9 of itself, and
    // signs differ.
    check_close("y", y, exact, naive, 4e-7, 1.0 / 256);
  });
}

TEST_CASE("convolution's statistics are those of what it stores, with a mean far from zero too") {
  struct Case {
    Shape x;
    std::int64_t outputs;
    float mean;
  };
  for (const Case& c : {Case{{2, 3, 9, 7, 20}, 45, 0}, Case{{1, 2, 17, 11, 8}, 144, 3000},
                        Case{{1, 1, 1, 1, 16}, 7, -5}, Case{{1, 1, 3, 43, 5}, 130, 100}}) {
    const Conv3dCase test{"", c.x, c.outputs, spatial(3, 1)};
    CAPTURE(c.outputs);
    on_every_stream_and_type([&](auto& stream, DType type) {
      const Operands in(test, type, 2);
      Buffer bias({c.outputs}), mean({c.outputs}), variance({c.outputs}), running_mean({c.outputs}),
          running_variance({c.outputs});
      for (std::int64_t k = 0; k < c.outputs; ++k) {
        bias[k] = c.mean * (k % 2 == 0 ? 1.0f : -1.0f);
        running_mean[k] = 2;
        running_variance[k] = 3;
      }
      mean.poison(), variance.poison();
      Buffer y(test.y(), round_up(c.outputs, kChannelAlign), type);
      y.poison(is_cuda(stream));
      conv3d_forward({.y = y.view(stream),
                      .x = in.x.const_view(stream),
                      .w = in.w.const_view(stream),
                      .geometry = test.geometry,
                      .input = {},
                      .epilogue = {.bias = bias.const_pointer(stream)},
                      .statistics = {mean.pointer(stream), variance.pointer(stream),
                                     running_mean.pointer(stream), running_variance.pointer(stream), 0.25f}},
                     stream);
      const auto rows = static_cast<double>(y.shape().rows());
      for (std::int64_t k = 0; k < c.outputs; ++k) {
        CAPTURE(k);
        double m = 0, v = 0;
        for (std::int64_t r = 0; r < y.shape().rows(); ++r) m += static_cast<double>(y.at(r, k)) / rows;
        for (std::int64_t r = 0; r < y.shape().rows(); ++r) {
          v += (static_cast<double>(y.at(r, k)) - m) * (static_cast<double>(y.at(r, k)) - m) / rows;
        }
        // fp32 numbers, from sums of 43 numbers near their mean in fp32 and double sums of these.
        const double step = 1.2e-7 * (std::abs(m) + std::sqrt(v));
        REQUIRE(std::abs(mean[k] - m) <= 2 * step);
        REQUIRE(std::abs(variance[k] - v) <= 4e-6 * v + 1e-6 * step);
        const double unbiased = rows > 1 ? v * rows / (rows - 1) : v;
        REQUIRE(running_mean[k] == doctest::Approx(0.75 * 2 + 0.25 * m).epsilon(1e-5));
        REQUIRE(running_variance[k] == doctest::Approx(0.75 * 3 + 0.25 * unbiased).epsilon(1e-5));
      }
      y.check_guards();
      for (const Buffer* buffer : {&mean, &variance, &running_mean, &running_variance})
        buffer->check_guards();
    });
  }
}
