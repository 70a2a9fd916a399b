#include "kernels/lstm_cell.h"

#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

struct LstmCase {
  std::int64_t rows, hidden;
  bool pitched = true;
};
// 4: the least that whole vectors take; 17 and 45: gates that begin anywhere; 300: more columns than a block
// has.
constexpr LstmCase kCases[] = {{1, 1}, {3, 4}, {5, 17}, {7, 45, false}, {2, 64}, {3, 128, false}, {2, 300}};

// One step for a row, in any number type: what the reference's gradients are differences of.
template <class Real>
struct Step {
  std::vector<Real> h, c;
  Step(const std::vector<Real>& gates, const std::vector<Real>& before, std::int64_t hidden) {
    auto sigmoid = [](Real x) { return 1 / (1 + std::exp(-x)); };
    for (std::size_t at = 0; at < before.size(); ++at) {
      const std::size_t n = static_cast<std::size_t>(hidden), row = at / n * 4 * n, j = at % n;
      c.push_back(sigmoid(gates[row + n + j]) * before[at] +
                  sigmoid(gates[row + j]) * std::tanh(gates[row + 2 * n + j]));
      h.push_back(sigmoid(gates[row + 3 * n + j]) * std::tanh(c.back()));
    }
  }
};

// The gradients written out, as naive as the step.
template <class Real>
struct Gradient {
  std::vector<Real> dgates, dbefore;
  Gradient(const std::vector<Real>& gates, const std::vector<Real>& before, const std::vector<Real>& dh,
           const std::vector<Real>& dc, std::int64_t hidden)
      : dgates(gates.size()), dbefore(before.size()) {
    auto sigmoid = [](Real x) { return 1 / (1 + std::exp(-x)); };
    const Step<Real> step(gates, before, hidden);
    for (std::size_t at = 0; at < before.size(); ++at) {
      const std::size_t n = static_cast<std::size_t>(hidden), row = at / n * 4 * n, j = at % n;
      const Real i = sigmoid(gates[row + j]), f = sigmoid(gates[row + n + j]);
      const Real g = std::tanh(gates[row + 2 * n + j]), o = sigmoid(gates[row + 3 * n + j]),
                 t = std::tanh(step.c[at]);
      const Real d = dc[at] + dh[at] * o * (1 - t * t);
      dgates[row + j] = d * g * i * (1 - i);
      dgates[row + n + j] = d * before[at] * f * (1 - f);
      dgates[row + 2 * n + j] = d * i * (1 - g * g);
      dgates[row + 3 * n + j] = dh[at] * t * o * (1 - o);
      dbefore[at] = d * f;
    }
  }
};

struct Inputs {
  Buffer gates, before, dh, dc;
  Inputs(const LstmCase& t, DType type, std::uint32_t site)
      : gates({t.rows, 4 * t.hidden}, pitch(t, 4 * t.hidden), type),
        before({t.rows, t.hidden}, pitch(t, t.hidden)),
        dh({t.rows, t.hidden}, pitch(t, t.hidden), type),
        dc({t.rows, t.hidden}, pitch(t, t.hidden)) {
    for (Buffer* buffer : {&gates, &before, &dh, &dc}) buffer->randomize(++site);
    for (std::int64_t i = 0; i < gates.count(); ++i) gates[i] *= 4;  // exact in bf16 too
  }
  static std::int64_t pitch(const LstmCase& t, std::int64_t channels) {
    return t.pitched ? round_up(channels, kChannelAlign) : channels;
  }
};

}  // namespace

TEST_CASE("a step of an LSTM and its gradient against a naive double reference") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    std::uint32_t site = 8000;
    for (const LstmCase& t : kCases) {
      const Inputs in(t, type, site += 10);
      for (const bool later : {true, false}) {  // whether something else reads the new c
        CAPTURE(t.hidden);
        CAPTURE(later);
        const std::int64_t pitch = Inputs::pitch(t, t.hidden);
        Buffer h({t.rows, t.hidden}, pitch, type), c({t.rows, t.hidden}, pitch),
            dbefore({t.rows, t.hidden}, pitch);
        Buffer dgates(in.gates.shape(), Inputs::pitch(t, 4 * t.hidden), type);
        for (Buffer* buffer : {&h, &c, &dgates, &dbefore}) buffer->poison(on_cuda());
        lstm_cell_forward(
            {h.view(stream), c.view(stream), in.gates.const_view(stream), in.before.const_view(stream)},
            stream);
        check_both("h", h, [&]<class Real>(Real) {
          return Step<Real>(values<Real>(in.gates), values<Real>(in.before), t.hidden).h;
        });
        check_both("c", c, [&]<class Real>(Real) {
          return Step<Real>(values<Real>(in.gates), values<Real>(in.before), t.hidden).c;
        });
        lstm_cell_backward({dgates.view(stream), dbefore.view(stream), in.dh.const_view(stream),
                            later ? in.dc.const_view(stream) : ConstView{}, in.gates.const_view(stream),
                            in.before.const_view(stream), c.const_view(stream)},
                           stream);
        auto gradient = [&]<class Real>(Real) {
          const std::vector<Real> dc =
              later ? values<Real>(in.dc) : std::vector<Real>(static_cast<std::size_t>(in.dc.count()));
          return Gradient<Real>(values<Real>(in.gates), values<Real>(in.before), values<Real>(in.dh), dc,
                                t.hidden);
        };
        check_close("dgates", dgates, gradient(double{}).dgates, gradient(float{}).dgates);
        check_close("dc before", dbefore, gradient(double{}).dbefore, gradient(float{}).dbefore);
      }
    }
  });
}

TEST_CASE("the reference's gradient of an LSTM step is that of central differences") {
  if (on_cuda()) return;
  constexpr double kStep = 1e-5;
  const LstmCase t{3, 5};
  const Inputs in(t, DType::f32, 8500);
  std::vector<double> gates = values<double>(in.gates), before = values<double>(in.before);
  const std::vector<double> dh = values<double>(in.dh), dc = values<double>(in.dc);
  auto along = [&] {  // what dh and dc are the gradient of
    const Step<double> step(gates, before, t.hidden);
    double sum = 0;
    for (std::size_t i = 0; i < dh.size(); ++i) sum += dh[i] * step.h[i] + dc[i] * step.c[i];
    return sum;
  };
  const Gradient<double> gradient(gates, before, dh, dc, t.hidden);
  auto check = [&](std::vector<double>& numbers, const std::vector<double>& slopes) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double value = numbers[i];
      numbers[i] = value + kStep;
      const double above = along();
      numbers[i] = value - kStep;
      const double below = along();
      numbers[i] = value;
      CHECK(std::abs((above - below) / (2 * kStep) - slopes[i]) <= 1e-8);
    }
  };
  check(gates, gradient.dgates);
  check(before, gradient.dbefore);
}
