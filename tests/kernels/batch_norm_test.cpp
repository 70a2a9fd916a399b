#include "kernels/batch_norm.h"

#include "op_cases/row_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

constexpr float kEps = 1e-5f, kMomentum = 0.1f;

// The case of one call: what besides x is there.
struct Options {
  bool relu, residual, batch_statistics;
};

struct Inputs {
  Buffer x, dy, residual, weight, bias, mean, variance;

  Inputs(const RowCase& t, DType type, std::uint32_t site)
      : x(t.shape(), t.pitch(), type),
        dy(t.shape(), t.pitch(), type),
        residual(t.shape(), t.pitch(), type),
        weight({t.channels}),
        bias({t.channels}),
        mean({t.channels}),
        variance({t.channels}) {
    for (Buffer* buffer : {&x, &dy, &residual, &weight, &bias, &mean, &variance}) buffer->randomize(++site);
    for (std::int64_t c = 0; c < t.channels; ++c) variance[c] += 1.5f;
  }
};

template <class Real>
struct Reference {
  std::vector<Real> mean, variance, running_mean, running_variance, y, dx, dresidual, dweight, dbias;
  // The largest of the terms that dx is a difference of, over the largest dx: 1 with many rows, but three
  // rows leave little of their terms.
  Real cancellation = 1;

  Reference(const Inputs& in, const Options& options) {
    const std::int64_t rows = in.x.shape()[0], channels = in.x.shape()[1];
    const auto n = static_cast<Real>(rows);
    Real largest_term = 0, largest = 0;
    for (auto* v : {&y, &dx, &dresidual}) v->resize(static_cast<std::size_t>(in.x.count()));
    for (std::int64_t c = 0; c < channels; ++c) {
      auto at = [&](const Buffer& b, std::int64_t r) { return static_cast<Real>(b.at(r, c)); };
      Real sum = 0, squares = 0;
      for (std::int64_t r = 0; r < rows; ++r) sum += at(in.x, r);
      for (std::int64_t r = 0; r < rows; ++r) squares += (at(in.x, r) - sum / n) * (at(in.x, r) - sum / n);
      mean.push_back(sum / n);
      variance.push_back(squares / n);
      const auto momentum = static_cast<Real>(kMomentum);
      running_mean.push_back((1 - momentum) * static_cast<Real>(in.mean[c]) + momentum * sum / n);
      running_variance.push_back((1 - momentum) * static_cast<Real>(in.variance[c]) +
                                 momentum * squares / (n - 1));
      const Real m = options.batch_statistics ? sum / n : static_cast<Real>(in.mean[c]);
      const Real v = options.batch_statistics ? squares / n : static_cast<Real>(in.variance[c]);
      const Real rstd = 1 / std::sqrt(v + static_cast<Real>(kEps)), w = static_cast<Real>(in.weight[c]);
      Real sum_g = 0, sum_gx = 0;
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto i = static_cast<std::size_t>(r * channels + c);
        y[i] = w * ((at(in.x, r) - m) * rstd) + static_cast<Real>(in.bias[c]);
        if (options.residual) y[i] += at(in.residual, r);
        dresidual[i] = options.relu && y[i] <= 0 ? 0 : at(in.dy, r);
        if (options.relu) y[i] = y[i] > 0 ? y[i] : 0;
        sum_g += dresidual[i];
        sum_gx += dresidual[i] * (at(in.x, r) - m) * rstd;
      }
      dbias.push_back(sum_g);
      dweight.push_back(sum_gx);
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto i = static_cast<std::size_t>(r * channels + c);
        dx[i] = w * rstd * dresidual[i];
        largest_term = std::max(largest_term, std::abs(dx[i]));
        if (options.batch_statistics) dx[i] -= w * rstd * (sum_g + (at(in.x, r) - m) * rstd * sum_gx) / n;
      }
    }
    for (const Real value : dx) largest = std::max(largest, std::abs(value));
    if (largest > 0) cancellation = std::max(cancellation, largest_term / largest);
  }
};

// The mask of the ReLU is made from y as the kernel rounded it, and x as far as the reference goes is the
// same; so a y that rounds to another side of zero than the reference's cannot be: bf16 keeps signs, and has
// the exponents of fp32.
template <class S>
void check_case(const RowCase& t, DType type, const Inputs& in, const Options& options, S& stream) {
  const Reference<double> exact(in, options);
  const Reference<float> naive(in, options);
  Buffer mean({t.channels}), variance({t.channels}), running_mean = in.mean, running_variance = in.variance;
  Buffer y(t.shape(), t.pitch(), type), dx(t.shape(), t.pitch(), type), dresidual(t.shape(), t.pitch(), type);
  Buffer dweight({t.channels}), dbias({t.channels});
  for (Buffer* buffer : {&mean, &variance, &y, &dx, &dresidual, &dweight, &dbias}) buffer->poison(on_cuda());
  const Buffer *used_mean = &in.mean, *used_variance = &in.variance;
  if (options.batch_statistics) {
    batch_norm_statistics({in.x.const_view(stream),
                           {mean.pointer(stream), variance.pointer(stream), running_mean.pointer(stream),
                            running_variance.pointer(stream), kMomentum}},
                          stream);
    // Of numbers around zero: the floor is two units in the last place of the numbers that are added (up to
    // 1), not of their mean. bf16 values add up exactly in the naive sum, whose error says nothing then.
    double largest = 0;
    for (const double m : exact.mean) largest = std::max(largest, std::abs(m));
    check_close("mean", mean, exact.mean, naive.mean, 4e-7 + 2.4e-7 / largest);
    check_close("variance", variance, exact.variance, naive.variance);
    check_close("running mean", running_mean, exact.running_mean, naive.running_mean);
    check_close("running variance", running_variance, exact.running_variance, naive.running_variance);
    used_mean = &mean;
    used_variance = &variance;
  }
  batch_norm_forward(
      {y.view(stream), in.x.const_view(stream), used_mean->const_pointer(stream),
       used_variance->const_pointer(stream), in.weight.const_pointer(stream), in.bias.const_pointer(stream),
       kEps, options.residual ? in.residual.const_view(stream) : ConstView{}, options.relu},
      stream);
  check_close("y", y, exact.y, naive.y);
  batch_norm_backward(
      {dx.view(stream), options.residual ? dresidual.view(stream) : View{}, dweight.pointer(stream),
       dbias.pointer(stream), in.dy.const_view(stream), in.x.const_view(stream),
       options.relu ? y.const_view(stream) : ConstView{}, used_mean->const_pointer(stream),
       used_variance->const_pointer(stream), in.weight.const_pointer(stream), kEps, options.batch_statistics},
      stream);
  check_close("dx", dx, exact.dx, naive.dx, 4e-7 * exact.cancellation);
  if (options.residual) check_close("dresidual", dresidual, exact.dresidual, naive.dresidual);
  check_close("dweight", dweight, exact.dweight, naive.dweight);
  check_close("dbias", dbias, exact.dbias, naive.dbias);
}

}  // namespace

TEST_CASE("batch normalisation against a naive double reference, every stream and element type") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    std::uint32_t site = 2000;
    for (const RowCase& t : row_cases()) {
      const Inputs in(t, type, site += 10);
      for (const Options& options :
           {Options{true, true, true}, Options{true, false, true}, Options{false, true, true},
            Options{false, false, true}, Options{true, true, false}, Options{false, false, false}}) {
        CAPTURE(t.name);
        CAPTURE(options.relu);
        CAPTURE(options.residual);
        CAPTURE(options.batch_statistics);
        check_case(t, type, in, options, stream);
      }
    }
  });
}

TEST_CASE("parts of batch normalisation's gradient alone") {
  const RowCase t{"", 70, 45};
  on_every_stream_and_type([&](auto& stream, DType type) {
    const Inputs in(t, type, 2800);
    for (const bool batch : {false, true}) {
      CAPTURE(batch);
      const Options options{false, true, batch};
      const Reference<double> exact(in, options);
      const Reference<float> naive(in, options);
      Buffer mean({45}), variance({45});
      for (std::int64_t c = 0; c < 45; ++c) {
        mean[c] = batch ? static_cast<float>(exact.mean[static_cast<std::size_t>(c)]) : in.mean[c];
        variance[c] =
            batch ? static_cast<float>(exact.variance[static_cast<std::size_t>(c)]) : in.variance[c];
      }
      auto run = [&](const View& dx, const View& dresidual, float* dweight, float* dbias) {
        batch_norm_backward({dx, dresidual, dweight, dbias, in.dy.const_view(stream), in.x.const_view(stream),
                             ConstView{}, mean.const_pointer(stream), variance.const_pointer(stream),
                             in.weight.const_pointer(stream), kEps, batch},
                            stream);
      };
      Buffer dx(t.shape(), 48, type), dresidual(t.shape(), 48, type), dweight({45}), dbias({45});
      for (Buffer* buffer : {&dx, &dresidual, &dweight, &dbias}) buffer->poison(on_cuda());
      run(dx.view(stream), View{}, nullptr, nullptr);
      run(View{}, dresidual.view(stream), nullptr, nullptr);
      run(View{}, View{}, dweight.pointer(stream), dbias.pointer(stream));
      check_close("dx", dx, exact.dx, naive.dx, 4e-7 * exact.cancellation);
      check_close("dresidual", dresidual, exact.dresidual, naive.dresidual);
      check_close("dweight", dweight, exact.dweight, naive.dweight);
      check_close("dbias", dbias, exact.dbias, naive.dbias);
    }
  });
}

TEST_CASE("batch statistics keep their accuracy far from zero, and with a first row far from the rest") {
  for (const float outlier : {0.0f, 1000.0f}) {
    CAPTURE(outlier);
    Buffer x({5000, 5}, 16);
    x.randomize(1);
    for (std::int64_t i = 0; i < x.count(); ++i) x[i] += outlier == 0 ? 1000.0f : i < 5 ? outlier : 0.0f;
    std::vector<double> exact_mean(5), exact_variance(5);
    for (std::int64_t i = 0; i < x.count(); ++i)
      exact_mean[static_cast<std::size_t>(i % 5)] += static_cast<double>(x[i]) / 5000;
    for (std::int64_t i = 0; i < x.count(); ++i) {
      const double d = static_cast<double>(x[i]) - exact_mean[static_cast<std::size_t>(i % 5)];
      exact_variance[static_cast<std::size_t>(i % 5)] += d * d / 5000;
    }
    on_every_stream([&](auto& stream) {
      Buffer mean({5}), variance({5});
      mean.poison();
      variance.poison();
      batch_norm_statistics({x.const_view(stream), {mean.pointer(stream), variance.pointer(stream)}}, stream);
      for (std::int64_t c = 0; c < 5; ++c) {
        const auto i = static_cast<std::size_t>(c);
        // Relative to the mean where all numbers are near it, else to the numbers, of up to 1.
        CHECK(std::abs(static_cast<double>(mean[c]) - exact_mean[i]) <= 3e-7 * std::max(1.0, exact_mean[i]));
        CHECK(std::abs(static_cast<double>(variance[c]) - exact_variance[i]) <= 1e-5 * exact_variance[i]);
      }
    });
  }
}

TEST_CASE("batch normalisation gives the same bits with any number of threads") {
  const RowCase t{"", 1500, 45};
  const Inputs in(t, DType::f32, 2900);
  Buffer first[3] = {Buffer({45}), Buffer({45}), Buffer({45})};
  for (int threads : {1, 2, 5}) {
    CpuStream stream(threads);
    Buffer mean({45}), variance({45}), dx(t.shape(), 48), dweight({45}), dbias({45});
    batch_norm_statistics({in.x.const_view(), {mean.begin(), variance.begin()}}, stream);
    batch_norm_backward({dx.view(),
                         {},
                         dweight.begin(),
                         dbias.begin(),
                         in.dy.const_view(),
                         in.x.const_view(),
                         {},
                         mean.begin(),
                         variance.begin(),
                         in.weight.begin(),
                         kEps,
                         true},
                        stream);
    const Buffer* got[3] = {&variance, &dweight, &dbias};
    for (int b = 0; b < 3; ++b) {
      if (threads == 1) first[b] = *got[b];
      for (std::int64_t c = 0; c < 45; ++c) CHECK((*got[b])[c] == first[b][c]);
    }
  }
}
