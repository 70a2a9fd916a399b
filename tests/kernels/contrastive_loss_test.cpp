#include "kernels/contrastive_loss.h"

#include "op_cases/contrastive_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

constexpr float kLabelScale = 10, kOutputGradient = 0.75f;

struct Inputs {
  Buffer v, t, positives, dloss;
  std::vector<std::int32_t> counts;

  Inputs(const ContrastiveCase& c, std::uint32_t site)
      : v(c.v(), c.pitch(c.dim)),
        t(c.t(), c.pitch(c.dim)),
        positives(c.positives(), c.pitch(c.texts)),
        dloss({1}),
        counts(c.counts()) {
    const float length = c.normalised ? std::sqrt(3.0f / static_cast<float>(c.dim)) : 1;
    for (Buffer* buffer : {&v, &t}) {
      buffer->randomize(++site);
      for (std::int64_t i = 0; i < buffer->count(); ++i) (*buffer)[i] *= length;
    }
    for (std::int64_t i = 0; i < c.clips; ++i) {
      for (std::int64_t k = 0; k < c.texts; ++k) positives.at(i, k) = c.positive(i, k);
    }
    dloss[0] = kOutputGradient;
  }
};

// All B x B pairs written out, each text as often as it has clips.
template <class Real>
struct Reference {
  std::vector<Real> loss{0}, dv, dt, row, column, target_row, target_column;
  double loss_terms = 0, dv_terms = 0, dt_terms = 0;  // the sizes of what cancels

  Reference(const ContrastiveCase& c, const Inputs& in)
      : c_(c), in_(in), s_(pairs()), label_(pairs()), ds_(pairs()) {
    for (std::int64_t i = 0; i < c.clips; ++i) {
      for (std::int64_t j = 0; j < c.clips; ++j) {
        s_[at(i, j)] = similarity(i, c.text_of(j));
        label_[at(i, j)] = label(i, c.text_of(j));
      }
    }
    for (std::int64_t i = 0; i < c.clips; ++i) {
      add_line([&](std::int64_t j) { return at(i, j); }, row, target_row);
    }
    std::vector<Real> columns, target_columns;  // of the pairs: each text as often as it has clips
    for (std::int64_t j = 0; j < c.clips; ++j) {
      add_line([&](std::int64_t i) { return at(i, j); }, columns, target_columns);
    }
    // Of every text, also of those that no clip has.
    for (std::int64_t k = 0; k < c.texts; ++k) {
      column.push_back(log_sum([&](std::int64_t i) { return similarity(i, k); }));
      target_column.push_back(log_sum([&](std::int64_t i) { return label(i, k); }));
    }
    add_gradients();
  }

 private:
  std::size_t pairs() const { return static_cast<std::size_t>(c_.clips * c_.clips); }
  std::size_t at(std::int64_t i, std::int64_t j) const { return static_cast<std::size_t>(i * c_.clips + j); }
  std::int64_t text_row(std::int64_t i, std::int64_t k) const { return c_.prompted ? i * c_.texts + k : k; }
  Real similarity(std::int64_t i, std::int64_t k) const {
    Real dot = 0;
    for (std::int64_t d = 0; d < c_.dim; ++d) {
      dot += static_cast<Real>(in_.v.at(i, d)) * static_cast<Real>(in_.t.at(text_row(i, k), d));
    }
    return dot / static_cast<Real>(c_.temperature);
  }
  Real label(std::int64_t i, std::int64_t k) const {
    const auto positive = static_cast<Real>(in_.positives.at(i, k));
    return c_.target == ContrastiveTarget::l1 ? std::log(positive)
                                              : static_cast<Real>(kLabelScale) * positive;
  }
  template <class Value>
  Real log_sum(Value value) const {
    Real largest = -INFINITY, sum = 0;
    for (std::int64_t n = 0; n < c_.clips; ++n) largest = std::max(largest, value(n));
    for (std::int64_t n = 0; n < c_.clips; ++n) sum += std::exp(value(n) - largest);
    return largest + std::log(sum);
  }

  // A row or a column of pairs.
  template <class Index>
  void add_line(Index index, std::vector<Real>& lses, std::vector<Real>& target_lses) {
    const Real lse = log_sum([&](std::int64_t n) { return s_[index(n)]; });
    const Real target_lse = log_sum([&](std::int64_t n) { return label_[index(n)]; });
    const auto share = static_cast<Real>(1) / static_cast<Real>(2 * c_.clips);
    loss_terms += static_cast<double>(share * std::abs(lse));
    for (std::int64_t n = 0; n < c_.clips; ++n) {
      const Real log_target = label_[index(n)] - target_lse, log_share = s_[index(n)] - lse;
      const Real target = std::exp(log_target);
      ds_[index(n)] += share * (std::exp(log_share) - target);
      if (target == 0) continue;
      loss[0] += share * target * (log_target - log_share);
      loss_terms += static_cast<double>(share * target * std::abs(s_[index(n)]));
    }
    lses.push_back(lse);
    target_lses.push_back(target_lse);
  }
  void add_gradients() {
    dv.resize(static_cast<std::size_t>(in_.v.count()));
    dt.resize(static_cast<std::size_t>(in_.t.count()));
    for (std::int64_t i = 0; i < c_.clips; ++i) {
      for (std::int64_t j = 0; j < c_.clips; ++j) {
        const Real g = static_cast<Real>(kOutputGradient) * ds_[at(i, j)] / static_cast<Real>(c_.temperature);
        const std::int64_t text = text_row(i, c_.text_of(j));
        for (std::int64_t d = 0; d < c_.dim; ++d) {
          dv[static_cast<std::size_t>(i * c_.dim + d)] += g * static_cast<Real>(in_.t.at(text, d));
          dt[static_cast<std::size_t>(text * c_.dim + d)] += g * static_cast<Real>(in_.v.at(i, d));
        }
      }
    }
    // A pair's four shares, of at most 1 each, cancel. Those of a large similarity are off by its rounding
    // (2^-24 of it), which is 1/7 of the floor's 4e-7.
    Real largest = 0;
    for (Real s : s_) largest = std::max(largest, std::abs(s));
    const double size = kOutputGradient * 2.0 /
                        (static_cast<double>(c_.clips) * static_cast<double>(c_.temperature)) *
                        std::max(1.0, static_cast<double>(largest) / 7);
    for (std::int64_t i = 0; i < in_.t.count(); ++i) dv_terms = std::max(dv_terms, std::abs(size * in_.t[i]));
    for (std::int64_t i = 0; i < in_.v.count(); ++i) dt_terms = std::max(dt_terms, std::abs(size * in_.v[i]));
  }

  const ContrastiveCase& c_;
  const Inputs& in_;
  std::vector<Real> s_, label_, ds_;
};

struct Outputs {
  Buffer loss, row, column, target_row, target_column, dv, dt;

  template <class S>
  Outputs(const ContrastiveCase& c, Inputs& in, S& stream)
      : loss({1}),
        row({c.clips}),
        column({c.texts}),
        target_row({c.clips}),
        target_column({c.texts}),
        dv(c.v(), c.pitch(c.dim)),
        dt(c.t(), c.pitch(c.dim)) {
    for (Buffer* buffer : all()) buffer->poison(std::is_same_v<S, CudaStream>);
    Held<std::int32_t> counts(in.counts);
    const ContrastiveProblem problem{in.v.const_view(stream),
                                     in.t.const_view(stream),
                                     in.positives.const_view(stream),
                                     counts.on(stream),
                                     c.temperature,
                                     kLabelScale,
                                     c.target};
    const ContrastiveNormalisers norms{row.pointer(stream), column.pointer(stream),
                                       target_row.pointer(stream), target_column.pointer(stream)};
    contrastive_loss_forward({problem, loss.pointer(stream), norms}, stream);
    contrastive_loss_backward(
        {problem, dv.view(stream), dt.view(stream), norms, in.dloss.const_pointer(stream)}, stream);
  }
  std::vector<Buffer*> all() { return {&loss, &row, &column, &target_row, &target_column, &dv, &dt}; }
};

}  // namespace

TEST_CASE("the contrastive loss against a naive double reference, every stream") {
  std::uint32_t site = 5000;
  for (const ContrastiveCase& c : contrastive_cases()) {
    CAPTURE(c.name);
    Inputs in(c, site += 10);
    const Reference<double> exact(c, in);
    const Reference<float> naive(c, in);
    on_every_stream([&](auto& stream) {
      const Outputs got(c, in, stream);
      check_close("row", got.row, exact.row, naive.row, 4e-7, 0, 1);  // a relative error of its sum
      check_close("column", got.column, exact.column, naive.column, 4e-7, 0, 1);
      check_close("target row", got.target_row, exact.target_row, naive.target_row, 4e-7, 0, 1);
      check_close("target column", got.target_column, exact.target_column, naive.target_column, 4e-7, 0, 1);
      check_close("loss", got.loss, exact.loss, naive.loss, 4e-7, 0, exact.loss_terms);
      check_close("dv", got.dv, exact.dv, naive.dv, 4e-7, 0, exact.dv_terms);
      check_close("dt", got.dt, exact.dt, naive.dt, 4e-7, 0, exact.dt_terms);
    });
  }
}

TEST_CASE("the contrastive loss gives the same bits in every run") {
  for (const bool prompted : {false, true}) {
    const ContrastiveCase c{"", 130, 70, 65, prompted, ContrastiveTarget::softmax, true};
    Inputs in(c, 5500);
    on_every_stream([&](auto& stream) {
      Outputs a(c, in, stream), b(c, in, stream);
      for (std::size_t n = 0; n < a.all().size(); ++n) {
        const Buffer &x = *a.all()[n], &y = *b.all()[n];
        for (std::int64_t i = 0; i < x.count(); ++i) REQUIRE(x[i] == y[i]);
      }
    });
  }
}
