#include "kernels/linear.h"

#include "op_cases/linear_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

template <class Real>
Real activation(Activation kind, Real x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::gelu:
      return x * static_cast<Real>(0.5) * (1 + std::erf(x / std::sqrt(static_cast<Real>(2))));
    case Activation::quick_gelu:
      return x / (1 + std::exp(static_cast<Real>(-1.702) * x));
  }
  return 0;
}

template <class Real>
struct Reference {
  std::vector<Real> y, pre, dx, dw, dbias;
  Reference(const LinearCase& t, const Buffer& x, const Buffer& w, const Buffer& bias, const Buffer& residual,
            const Buffer& dy) {
    dx.assign(static_cast<std::size_t>(x.count()), 0);
    dw.assign(static_cast<std::size_t>(w.count()), 0);
    dbias.assign(static_cast<std::size_t>(t.outputs), 0);
    for (std::int64_t r = 0; r < t.rows; ++r) {
      for (std::int64_t k = 0; k < t.outputs; ++k) {
        Real sum = 0;
        for (std::int64_t c = 0; c < t.channels; ++c) {
          sum += static_cast<Real>(x.at(r, c)) * static_cast<Real>(w.at(k, c));
          dx[static_cast<std::size_t>(r * t.channels + c)] +=
              static_cast<Real>(dy.at(r, k)) * static_cast<Real>(w.at(k, c));
          dw[static_cast<std::size_t>(k * t.channels + c)] +=
              static_cast<Real>(dy.at(r, k)) * static_cast<Real>(x.at(r, c));
        }
        dbias[static_cast<std::size_t>(k)] += static_cast<Real>(dy.at(r, k));
        if (t.bias) sum += static_cast<Real>(bias[k]);
        pre.push_back(sum);
        y.push_back(activation(t.activation, sum) + (t.residual ? static_cast<Real>(residual.at(r, k)) : 0));
      }
    }
  }
};

}  // namespace

TEST_CASE("linear layers against a naive double reference, every instruction set") {
  std::uint32_t site = 100;
  for (const LinearCase& t : linear_cases()) {
    CAPTURE(t.name);
    auto pitch = [&](std::int64_t channels) {
      return t.pitched ? round_up(channels, kChannelAlign) : channels;
    };
    Buffer x({t.rows, t.channels}, pitch(t.channels)), w({t.outputs, t.channels}), bias({t.outputs});
    Buffer residual({t.rows, t.outputs}, pitch(t.outputs)), dy({t.rows, t.outputs}, pitch(t.outputs));
    for (Buffer* buffer : {&x, &w, &bias, &residual, &dy}) buffer->randomize(++site);
    const Reference<double> exact(t, x, w, bias, residual, dy);
    const Reference<float> naive(t, x, w, bias, residual, dy);
    for (Isa isa : supported_isas()) {
      CAPTURE(to_string(isa));
      CpuStream stream(2, isa);
      Buffer y(dy.shape(), pitch(t.outputs)), pre(dy.shape(), pitch(t.outputs)),
          dx(x.shape(), pitch(t.channels)), dw(w.shape()), dbias({t.outputs});
      for (Buffer* buffer : {&y, &pre, &dx, &dw, &dbias}) buffer->poison();
      Epilogue epilogue{t.bias ? bias.begin() : nullptr, t.activation, {}};
      if (t.residual) epilogue.residual = residual.const_view();
      linear_forward({y.view(), x.const_view(), w.const_view(), epilogue, pre.view()}, stream);
      linear_backward_data({dx.view(), dy.const_view(), w.const_view()}, stream);
      linear_backward_weight({dw.view(), dbias.view(), x.const_view(), dy.const_view()}, stream);
      check_close("y", y, exact.y, naive.y);
      check_close("pre-activation", pre, exact.pre, naive.pre);
      check_close("dx", dx, exact.dx, naive.dx);
      check_close("dw", dw, exact.dw, naive.dw);
      check_close("dbias", dbias, exact.dbias, naive.dbias);
    }
  }
}
