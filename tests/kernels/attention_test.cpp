#include "kernels/attention.h"

#include "op_cases/attention_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

constexpr RandomKey kKey{11, 2, random_site("attention")};
constexpr std::uint32_t kSampleOffset = 5;

// Keys that are padding hold NaN: nobody may read them.
struct Inputs {
  Buffer q, k, v, dy;

  Inputs(const AttentionCase& t, DType type, std::uint32_t site, float factor)
      : q(t.q(), t.pitch(), type),
        k(t.k(), t.pitch(), type),
        v(t.k(), t.pitch(), type),
        dy(t.q(), t.pitch(), type) {
    for (Buffer* buffer : {&q, &k, &v, &dy}) buffer->randomize(++site);
    for (std::int64_t i = 0; i < q.count(); ++i) q[i] *= factor;
    for (std::int64_t b = 0; !t.lengths.empty() && b < t.batch; ++b) {
      for (std::int64_t j = t.lengths[static_cast<std::size_t>(b)]; j < t.keys; ++j) {
        for (Buffer* buffer : {&k, &v}) std::fill_n(&buffer->at(b * t.keys + j, 0), t.heads * t.dim, NAN);
      }
    }
  }
};

float scale_of(const AttentionCase& t) { return 1.0f / std::sqrt(static_cast<float>(t.dim)); }

template <class Real>
struct Reference {
  std::vector<Real> y, dq, dk, dv, lse;
  double dq_terms = 0, dk_terms = 0;  // the largest of those that cancel
  double y_floor = 0;                 // 4e-7 of the sum of the terms' sizes, as a share of the largest y

  Reference(const AttentionCase& t, const Inputs& in) : t_(t), in_(in) {
    y.resize(static_cast<std::size_t>(in.q.count()));
    dq = y;
    dk.resize(static_cast<std::size_t>(in.k.count()));
    dv = dk;
    for (std::int64_t b = 0; b < t.batch; ++b) {
      for (std::int64_t h = 0; h < t.heads; ++h) {
        for (std::int64_t i = 0; i < t.queries; ++i) add_query(b, h, i);
      }
    }
    Real largest = 0;
    for (Real x : y) largest = std::max(largest, std::abs(x));
    y_floor = 4e-7 * std::max(1.0, y_terms_ / static_cast<double>(largest));
  }

 private:
  std::size_t q_index(std::int64_t b, std::int64_t i, std::int64_t h, std::int64_t d) const {
    return static_cast<std::size_t>(((b * t_.queries + i) * t_.heads + h) * t_.dim + d);
  }
  std::size_t k_index(std::int64_t b, std::int64_t j, std::int64_t h, std::int64_t d) const {
    return static_cast<std::size_t>(((b * t_.keys + j) * t_.heads + h) * t_.dim + d);
  }
  static Real at(const Buffer& buffer, std::size_t i) {
    return static_cast<Real>(buffer[static_cast<std::int64_t>(i)]);
  }
  // 0 or 1 / (1 - p).
  Real mask(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    const std::int64_t element = (h * t_.queries + i) * t_.keys + j;
    const Philox4 bits =
        kKey.draw(kSampleOffset + static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(element / 4));
    return uniform01(bits.v[element % 4]) >= t_.dropout ? 1 / (1 - static_cast<Real>(t_.dropout)) : 0;
  }

  void add_query(std::int64_t b, std::int64_t h, std::int64_t i) {
    const std::int64_t keys = t_.lengths.empty() ? t_.keys : t_.lengths[static_cast<std::size_t>(b)];
    const auto scale = static_cast<Real>(scale_of(t_));
    std::vector<Real> score(static_cast<std::size_t>(keys)), dweight(score.size());
    Real largest = -INFINITY, sum = 0, along = 0;
    double size = 0;
    for (std::int64_t j = 0; j < keys; ++j) {
      const auto n = static_cast<std::size_t>(j);
      for (std::int64_t d = 0; d < t_.dim; ++d) {
        score[n] += scale * at(in_.q, q_index(b, i, h, d)) * at(in_.k, k_index(b, j, h, d));
        dweight[n] += at(in_.dy, q_index(b, i, h, d)) * at(in_.v, k_index(b, j, h, d));
      }
      largest = std::max(largest, score[n]);
    }
    for (Real s : score) sum += std::exp(s - largest);
    lse.push_back(largest + std::log(sum));
    for (std::int64_t j = 0; j < keys; ++j) {
      const auto n = static_cast<std::size_t>(j);
      score[n] = std::exp(score[n] - largest) / sum;  // now the weight
      const Real kept = mask(b, h, i, j);
      dweight[n] *= kept;
      size += static_cast<double>(score[n] * kept * std::abs(at(in_.v, k_index(b, j, h, 0))));
      for (std::int64_t d = 0; d < t_.dim; ++d) {
        y[q_index(b, i, h, d)] += score[n] * kept * at(in_.v, k_index(b, j, h, d));
        dv[k_index(b, j, h, d)] += score[n] * kept * at(in_.dy, q_index(b, i, h, d));
      }
    }
    y_terms_ = std::max(y_terms_, size);
    // The sum over keys of weight * its gradient, as dy . y (Dao et al. 2022).
    for (std::int64_t d = 0; d < t_.dim; ++d)
      along += at(in_.dy, q_index(b, i, h, d)) * y[q_index(b, i, h, d)];
    for (std::int64_t j = 0; j < keys; ++j) {
      const auto n = static_cast<std::size_t>(j);
      const Real dscore = scale * score[n] * (dweight[n] - along);
      const auto term = static_cast<double>(scale * score[n] * (std::abs(dweight[n]) + std::abs(along)));
      for (std::int64_t d = 0; d < t_.dim; ++d) {
        dq[q_index(b, i, h, d)] += dscore * at(in_.k, k_index(b, j, h, d));
        dk[k_index(b, j, h, d)] += dscore * at(in_.q, q_index(b, i, h, d));
        dq_terms = std::max(dq_terms, term * std::abs(static_cast<double>(at(in_.k, k_index(b, j, h, d)))));
        dk_terms = std::max(dk_terms, term * std::abs(static_cast<double>(at(in_.q, q_index(b, i, h, d)))));
      }
    }
  }

  const AttentionCase& t_;
  const Inputs& in_;
  double y_terms_ = 0;
};

struct Outputs {
  Buffer y, lse, dq, dk, dv;

  template <class S>
  Outputs(const AttentionCase& t, const Inputs& in, S& stream)
      : y(t.q(), t.pitch(), in.q.dtype()),
        lse({t.batch * t.heads * t.queries}),
        dq(t.q(), t.pitch(), in.q.dtype()),
        dk(t.k(), t.pitch(), in.q.dtype()),
        dv(t.k(), t.pitch(), in.q.dtype()) {
    for (Buffer* buffer : {&y, &lse, &dq, &dk, &dv}) buffer->poison(std::is_same_v<S, CudaStream>);
    Held<std::int32_t> lengths(t.lengths);
    const AttentionProblem problem{.q = in.q.const_view(stream),
                                   .k = in.k.const_view(stream),
                                   .v = in.v.const_view(stream),
                                   .heads = static_cast<int>(t.heads),
                                   .scale = scale_of(t),
                                   .key_lengths = t.lengths.empty() ? nullptr : lengths.on(stream),
                                   .dropout = t.dropout,
                                   .key = kKey,
                                   .sample_offset = kSampleOffset};
    attention_forward({problem, y.view(stream), lse.pointer(stream)}, stream);
    attention_backward({problem, dq.view(stream), dk.view(stream), dv.view(stream), in.dy.const_view(stream),
                        y.const_view(stream), lse.const_pointer(stream)},
                       stream);
  }
  void check_same_bits(const Outputs& other) const {
    for (const auto& [a, b] : {std::pair{&y, &other.y},
                               {&lse, &other.lse},
                               {&dq, &other.dq},
                               {&dk, &other.dk},
                               {&dv, &other.dv}}) {
      for (std::int64_t i = 0; i < a->count(); ++i) REQUIRE((*a)[i] == (*b)[i]);
    }
  }
};

// Besides the results, bf16 rounds the weights, the gradients of the scores and, in dy . y, the outputs: each
// by up to 2^-8 of itself, half of it in the mean. Such a sum of both signs was off by up to 2^-8.9 of the
// largest, with results shifted as hardware may too.
constexpr double kInner = 1.0 / 256;

void check_outputs(const Outputs& got, const Reference<double>& exact, const Reference<float>& naive) {
  // exp is within two units on hardware, half of one in the naive reference: the floor is of all that a y is
  // summed of.
  check_close("y", got.y, exact.y, naive.y, exact.y_floor, kInner);
  check_close("log-sum-exp", got.lse, exact.lse, naive.lse, 4e-7, 0, 1);  // a relative error of its sum
  check_close("dq", got.dq, exact.dq, naive.dq, 4e-7, kInner, exact.dq_terms);
  check_close("dk", got.dk, exact.dk, naive.dk, 4e-7, kInner, exact.dk_terms);
  check_close("dv", got.dv, exact.dv, naive.dv, 4e-7, kInner);
}

}  // namespace

TEST_CASE("attention against a naive double reference, every stream and type") {
  std::uint32_t site = 3000;
  for (const AttentionCase& t : attention_cases()) {
    CAPTURE(t.name);
    site += 10;
    for (const DType type : {DType::f32, DType::bf16}) {
      CAPTURE(size_of(type));
      const Inputs in(t, type, site, 1.0f);
      const Reference<double> exact(t, in);
      const Reference<float> naive(t, in);
      on_every_stream([&](auto& stream) { check_outputs(Outputs(t, in, stream), exact, naive); });
    }
  }
}

TEST_CASE("attention with scores far beyond the range of exp") {
  const AttentionCase t{"large scores", 1, 7, 130, 2, 16};
  on_every_stream_and_type([&](auto& stream, DType type) {
    const Inputs in(t, type, 3500, 2000.0f);
    const Reference<double> exact(t, in);
    const Outputs got(t, in, stream);
    for (std::int64_t i = 0; i < got.y.count(); ++i) {
      const double expected = exact.y[static_cast<std::size_t>(i)];
      const double rounding = type == DType::bf16 ? kBF16Rounding + kInner : 0;
      REQUIRE(std::abs(static_cast<double>(got.y[i]) - expected) < 2e-3 + rounding);
    }
  });
}

TEST_CASE("attention gives the same bits in every run") {
  const AttentionCase t{"", 3, 40, 140, 3, 20, {}, 0.1f};
  on_every_stream_and_type([&](auto& stream, DType type) {
    const Inputs in(t, type, 3600, 1.0f);
    Outputs(t, in, stream).check_same_bits(Outputs(t, in, stream));
  });
}

TEST_CASE("attention gives the same bits with any number of threads") {
  const AttentionCase t{"", 3, 40, 140, 3, 20, {}, 0.1f};
  const Inputs in(t, DType::f32, 3600, 1.0f);
  CpuStream one(1), five(5);
  Outputs(t, in, one).check_same_bits(Outputs(t, in, five));
}
