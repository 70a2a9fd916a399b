#include "kernels/layer_norm.h"

#include "op_cases/row_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

constexpr float kEps = 1e-5f;

template <class Real>
struct LayerNormReference {
  std::vector<Real> y, dx, dweight, dbias;

  LayerNormReference(const Buffer& x, const Buffer& dy, const Buffer& weight, const Buffer& bias) {
    const std::int64_t rows = x.shape()[0], channels = x.shape()[1];
    const auto n = static_cast<Real>(channels);
    dweight.resize(static_cast<std::size_t>(channels));
    dbias = dweight;
    for (std::int64_t r = 0; r < rows; ++r) {
      auto at = [&](const Buffer& b, std::int64_t c) { return static_cast<Real>(b.at(r, c)); };
      Real mean = 0, variance = 0, sum = 0, dot = 0;
      for (std::int64_t c = 0; c < channels; ++c) mean += at(x, c) / n;
      for (std::int64_t c = 0; c < channels; ++c) variance += (at(x, c) - mean) * (at(x, c) - mean) / n;
      const Real inverse = 1 / std::sqrt(variance + static_cast<Real>(kEps));
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<std::size_t>(c);
        const Real normalised = (at(x, c) - mean) * inverse, w = static_cast<Real>(weight[c]);
        y.push_back(normalised * w + static_cast<Real>(bias[c]));
        dweight[i] += at(dy, c) * normalised;
        dbias[i] += at(dy, c);
        sum += at(dy, c) * w;
        dot += at(dy, c) * w * normalised;
      }
      for (std::int64_t c = 0; c < channels; ++c) {
        const Real normalised = (at(x, c) - mean) * inverse;
        dx.push_back(inverse * (at(dy, c) * static_cast<Real>(weight[c]) - (sum + normalised * dot) / n));
      }
    }
  }
};

template <class Real>
struct L2Reference {
  std::vector<Real> y, dx;

  L2Reference(const Buffer& x, const Buffer& dy, float eps) {
    for (std::int64_t r = 0; r < x.shape()[0]; ++r) {
      auto at = [&](const Buffer& b, std::int64_t c) { return static_cast<Real>(b.at(r, c)); };
      Real squares = 0, dot = 0;
      for (std::int64_t c = 0; c < x.shape()[1]; ++c) squares += at(x, c) * at(x, c);
      for (std::int64_t c = 0; c < x.shape()[1]; ++c) dot += at(x, c) * at(dy, c);
      const Real norm = std::sqrt(squares), least = static_cast<Real>(eps);
      for (std::int64_t c = 0; c < x.shape()[1]; ++c) {
        y.push_back(at(x, c) / std::max(norm, least));
        dx.push_back(norm < least ? at(dy, c) / least
                                  : at(dy, c) / norm - at(x, c) * dot / (norm * norm * norm));
      }
    }
  }
};

}  // namespace

TEST_CASE("layer normalisation against a naive double reference, every stream and element type") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    std::uint32_t site = 4000;
    for (const RowCase& t : row_cases()) {
      if (t.channels == 1) continue;  // one channel is its own mean: nothing but rounding is left
      CAPTURE(t.name);
      Buffer x(t.shape(), t.pitch(), type), dy(t.shape(), t.pitch(), type);
      Buffer weight({t.channels}), bias({t.channels});
      for (Buffer* buffer : {&x, &dy, &weight, &bias}) buffer->randomize(++site);
      const LayerNormReference<double> exact(x, dy, weight, bias);
      const LayerNormReference<float> naive(x, dy, weight, bias);
      Buffer y(t.shape(), t.pitch(), type), dx(t.shape(), t.pitch(), type), mean({t.rows}), inverse({t.rows});
      Buffer dweight({t.channels}), dbias({t.channels});
      for (Buffer* buffer : {&y, &dx, &mean, &inverse, &dweight, &dbias}) buffer->poison(on_cuda());
      layer_norm_forward({y.view(stream), x.const_view(stream), weight.const_pointer(stream),
                          bias.const_pointer(stream), kEps, mean.pointer(stream), inverse.pointer(stream)},
                         stream);
      layer_norm_backward({dx.view(stream), dweight.pointer(stream), dbias.pointer(stream),
                           dy.const_view(stream), x.const_view(stream), weight.const_pointer(stream),
                           mean.const_pointer(stream), inverse.const_pointer(stream)},
                          stream);
      check_close("y", y, exact.y, naive.y);
      check_close("dx", dx, exact.dx, naive.dx);
      check_close("dweight", dweight, exact.dweight, naive.dweight);
      check_close("dbias", dbias, exact.dbias, naive.dbias);
      mean.check_guards();
      inverse.check_guards();
    }
  });
}

TEST_CASE("layer normalisation keeps its accuracy far from zero") {
  Buffer x({3, 77}, 80), weight({77}), bias({77});
  x.randomize(1);
  for (std::int64_t i = 0; i < x.count(); ++i) x[i] += 1000.0f;
  for (std::int64_t c = 0; c < 77; ++c) weight[c] = 1;
  const LayerNormReference<double> exact(x, x, weight, bias);
  on_every_stream([&](auto& stream) {
    Buffer y({3, 77}, 80), mean({3}), inverse({3});
    for (Buffer* buffer : {&y, &mean, &inverse}) buffer->poison(on_cuda());
    layer_norm_forward({y.view(stream), x.const_view(stream), weight.const_pointer(stream),
                        bias.const_pointer(stream), kEps, mean.pointer(stream), inverse.pointer(stream)},
                       stream);
    // The mean is rounded to an ulp of 1000, 6e-5, of numbers that spread by 0.6: 1e-4. Without the mean
    // taken off first, nothing would be left of the variance.
    for (std::int64_t i = 0; i < y.count(); ++i) {
      CHECK(std::abs(static_cast<double>(y[i]) - exact.y[static_cast<std::size_t>(i)]) <= 2e-4);
    }
  });
}

TEST_CASE("L2 normalisation against a naive double reference, also of rows shorter than eps") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    // The other side of the operation: embeddings are normalised to fp32 from bf16. The reverse is as legal.
    for (const DType other : {DType::f32, DType::bf16}) {
      std::uint32_t site = 4200;
      for (const RowCase& t : row_cases()) {
        CAPTURE(t.name);
        CAPTURE(size_of(other));
        Buffer x(t.shape(), t.pitch(), type), dy(t.shape(), t.pitch(), other);
        x.randomize(++site);
        dy.randomize(++site);
        for (std::int64_t c = 0; c < t.channels; ++c) {
          x.at(0, c) *= 0x1p-10f;                  // exact in bf16 too
          if (t.channels == 1) x.at(1, c) = 0.5f;  // one number might lie below eps by itself
        }
        const float eps = 0.05f;  // above the first row's norm, below the others'
        const L2Reference<double> exact(x, dy, eps);
        const L2Reference<float> naive(x, dy, eps);
        Buffer y(t.shape(), t.pitch(), other), dx(t.shape(), t.pitch(), type);
        y.poison(on_cuda());
        dx.poison(on_cuda());
        l2_normalize_forward({y.view(stream), x.const_view(stream), eps}, stream);
        l2_normalize_backward({dx.view(stream), dy.const_view(stream), x.const_view(stream), eps}, stream);
        check_close("y", y, exact.y, naive.y);
        check_close("dx", dx, exact.dx, naive.dx);
      }
    }
  });
}
