#include "kernels/linear.h"

#include <type_traits>

#include "op_cases/linear_cases.h"
#include "reference.h"
#include "tensor_cores.h"

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

constexpr RandomKey kKey{1234567890123, 17, 99};
constexpr std::uint32_t kSampleOffset = 3;

// What dropout multiplies channel k of row r with.
double dropout_factor(const LinearCase& t, std::int64_t r, std::int64_t k) {
  if (t.dropout == 0) return 1;
  const std::int64_t element = r % t.rows_per_sample * t.outputs + k;
  const Philox4 draw = kKey.draw(kSampleOffset + static_cast<std::uint32_t>(r / t.rows_per_sample),
                                 static_cast<std::uint32_t>(element / 4));
  return uniform01(draw.v[element % 4]) >= t.dropout ? 1.0 / (1.0 - t.dropout) : 0;
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
        sum = activation(t.activation, sum) * static_cast<Real>(dropout_factor(t, r, k));
        if (t.residual) sum += static_cast<Real>(residual.at(r, k));
        y.push_back(t.relu && sum < 0 ? 0 : sum);
      }
    }
  }
};

// The operands of a case, and its results.
struct Run {
  Buffer x, w, bias, residual, dy, y, pre, dx, dw, dbias;
  Run(const LinearCase& t, DType type, std::uint32_t site)
      : x({t.rows, t.channels}, pitch(t, t.channels), type),
        w({t.outputs, t.channels}, 0, site % 2 == 0 ? type : DType::f32),
        bias({t.outputs}),
        residual({t.rows, t.outputs}, pitch(t, t.outputs), type),
        dy(residual.shape(), pitch(t, t.outputs), type),
        y(residual.shape(), pitch(t, t.outputs), type),
        pre(residual.shape(), pitch(t, t.outputs), type),
        dx(x.shape(), pitch(t, t.channels), type),
        dw(w.shape()),
        dbias({t.outputs}) {
    // bf16 weights hold rounded numbers: as bf16, or, for every other case, as the fp32 ones that the
    // optimizer keeps.
    Buffer rounded(w.shape(), 0, type);
    for (Buffer* buffer : {&x, &rounded, &bias, &residual, &dy}) buffer->randomize(++site * 7);
    for (std::int64_t i = 0; i < w.count(); ++i) w[i] = rounded[i];
  }
  static std::int64_t pitch(const LinearCase& t, std::int64_t channels) {
    return t.pitched ? round_up(channels, kChannelAlign) : channels;
  }
  template <class S>
  void run(const LinearCase& t, S& stream) {
    for (Buffer* buffer : {&y, &pre, &dx, &dw, &dbias}) buffer->poison(std::is_same_v<S, CudaStream>);
    Epilogue epilogue{.bias = t.bias ? bias.const_pointer(stream) : nullptr,
                      .activation = t.activation,
                      .dropout = {t.dropout, kKey, kSampleOffset, t.rows_per_sample},
                      .residual = t.residual ? residual.const_view(stream) : ConstView{},
                      .relu = t.relu};
    linear_forward({y.view(stream), x.const_view(stream), w.const_view(stream), epilogue, pre.view(stream)},
                   stream);
    linear_backward_data({dx.view(stream), dy.const_view(stream), w.const_view(stream)}, stream);
    linear_backward_weight({dw.view(stream), dbias.view(stream), x.const_view(stream), dy.const_view(stream)},
                           stream);
  }
  void check(const LinearCase& t, const Reference<double>& exact, const Reference<float>& naive,
             bool tf32 = false) const {
    auto floor = [&](std::int64_t depth) { return sum_floor(y.dtype(), tf32, depth); };
    check_close("y", y, exact.y, naive.y, floor(t.channels));
    check_close("pre-activation", pre, exact.pre, naive.pre, floor(t.channels));
    check_close("dx", dx, exact.dx, naive.dx, floor(t.outputs));
    check_close("dw", dw, exact.dw, naive.dw, floor(t.rows));
    check_close("dbias", dbias, exact.dbias, naive.dbias);
  }
};

}  // namespace

TEST_CASE("linear layers against a naive double reference") {
  std::uint32_t site = 100;
  for (const LinearCase& t : linear_cases()) {
    CAPTURE(t.name);
    ++site;
    for (const DType type : {DType::f32, DType::bf16}) {
      CAPTURE(size_of(type));
      Run run(t, type, site);
      const Reference<double> exact(t, run.x, run.w, run.bias, run.residual, run.dy);
      const Reference<float> naive(t, run.x, run.w, run.bias, run.residual, run.dy);
      on_every_stream([&](auto& stream) {
        run.run(t, stream);
        run.check(t, exact, naive);
      });
    }
  }
}

#if defined(MG_CUDA)
TEST_CASE("linear layers in tf32 are those of operands rounded to 11 bits") {
  if (!on_cuda()) return;
  std::uint32_t site = 200;
  for (const LinearCase& t : linear_cases()) {
    CAPTURE(t.name);
    Run run(t, DType::f32, ++site);
    Buffer x = run.x, w = run.w, dy = run.dy;
    for (Buffer* buffer : {&x, &w, &dy}) {
      for (std::int64_t i = 0; i < buffer->count(); ++i) (*buffer)[i] = round_to_tf32((*buffer)[i]);
    }
    Reference<double> exact(t, x, w, run.bias, run.residual, dy);
    Reference<float> naive(t, x, w, run.bias, run.residual, dy);
    // The sum of dy is no product.
    exact.dbias = Reference<double>(t, run.x, run.w, run.bias, run.residual, run.dy).dbias;
    naive.dbias = Reference<float>(t, run.x, run.w, run.bias, run.residual, run.dy).dbias;
    CudaStream stream;
    stream.set_tf32(true);
    run.run(t, stream);
    run.check(t, exact, naive, true);
  }
}

TEST_CASE("linear layers by the vendor's library") {
  if (!on_cuda()) return;
  std::uint32_t site = 300;
  for (const LinearCase& t : linear_cases()) {
    CAPTURE(t.name);
    ++site;
    for (const DType type : {DType::f32, DType::bf16}) {
      CAPTURE(size_of(type));
      Run run(t, type, site);
      const Reference<double> exact(t, run.x, run.w, run.bias, run.residual, run.dy);
      const Reference<float> naive(t, run.x, run.w, run.bias, run.residual, run.dy);
      CudaStream stream;
      stream.set_vendor(true);
      std::vector<std::string> log;
      stream.trace(&log);
      run.run(t, stream);
      stream.trace(nullptr);
      run.check(t, exact, naive);
      CHECK(std::count(log.begin(), log.end(), "launch cublasLtMatmul") == 3);
    }
  }
}
#endif
