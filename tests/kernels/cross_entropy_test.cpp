#include "kernels/cross_entropy.h"

#include <limits>

#include "op_cases/row_cases.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

template <class Real>
struct Reference {
  std::vector<Real> loss{0}, lse, dlogits;

  Reference(const Buffer& logits, const Buffer& targets, float dloss) {
    const std::int64_t rows = logits.shape()[0], classes = logits.shape()[1];
    const auto n = static_cast<Real>(rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      auto at = [&](const Buffer& b, std::int64_t k) { return static_cast<Real>(b.at(r, k)); };
      Real largest = at(logits, 0), sum = 0, mass = 0;
      for (std::int64_t k = 0; k < classes; ++k) largest = std::max(largest, at(logits, k));
      for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(at(logits, k) - largest);
      lse.push_back(largest + std::log(sum));
      for (std::int64_t k = 0; k < classes; ++k) {
        if (at(targets, k) != 0) loss[0] -= at(targets, k) * (at(logits, k) - lse.back()) / n;
        mass += at(targets, k);
      }
      for (std::int64_t k = 0; k < classes; ++k) {
        dlogits.push_back(static_cast<Real>(dloss) / n *
                          (mass * std::exp(at(logits, k) - lse.back()) - at(targets, k)));
      }
    }
  }
};

// Targets that are no distribution, some of them zero.
void fill(Buffer& logits, Buffer& targets, std::uint32_t site, float spread) {
  logits.randomize(site);
  targets.randomize(site + 1);
  for (std::int64_t i = 0; i < logits.count(); ++i) {
    logits[i] *= spread;
    if (logits.dtype() == DType::bf16) logits[i] = to_float(to_bfloat16(logits[i]));
    targets[i] = targets[i] < -0.5f ? 0.0f : std::abs(targets[i]);
  }
}

}  // namespace

TEST_CASE("cross-entropy with soft targets against a naive double reference") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    std::uint32_t site = 7000;
    for (const RowCase& t : row_cases()) {
      if (t.channels == 1) continue;  // one class is certain: loss and gradient are nothing but rounding
      for (const float spread : {1.0f, 40.0f}) {
        CAPTURE(t.name);
        CAPTURE(spread);
        Buffer logits(t.shape(), t.pitch(), type), targets(t.shape(), t.pitch());
        fill(logits, targets, site += 2, spread);
        const float given = -1.75f;
        const Reference<double> exact(logits, targets, given);
        const Reference<float> naive(logits, targets, given);
        Buffer loss({1}), lse({t.rows}), dloss({1}), dlogits(t.shape(), t.pitch(), type);
        dloss[0] = given;
        for (Buffer* buffer : {&loss, &lse, &dlogits}) buffer->poison(on_cuda());
        cross_entropy_forward({loss.pointer(stream), logits.const_view(stream), targets.const_view(stream),
                               lse.pointer(stream)},
                              stream);
        check_close("loss", loss, exact.loss, naive.loss);
        check_close("log-sum-exp", lse, exact.lse, naive.lse);
        cross_entropy_backward({dlogits.view(stream), logits.const_view(stream), targets.const_view(stream),
                                lse.const_pointer(stream), dloss.const_pointer(stream)},
                               stream);
        check_close("dlogits", dlogits, exact.dlogits, naive.dlogits);
      }
    }
  });
}

TEST_CASE("a class without a target may be masked by a logit of minus infinity") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    Buffer logits({3, 35}, 48, type), targets({3, 35}, 48), loss({1}), lse({3}), dloss({1}),
        dlogits({3, 35}, 48, type);
    fill(logits, targets, 7900, 2.0f);
    logits.at(1, 34) = -std::numeric_limits<float>::infinity();
    targets.at(1, 34) = 0;
    dloss[0] = 1;
    for (Buffer* buffer : {&loss, &lse, &dlogits}) buffer->poison(on_cuda());
    const Reference<double> exact(logits, targets, 1);
    const Reference<float> naive(logits, targets, 1);
    cross_entropy_forward(
        {loss.pointer(stream), logits.const_view(stream), targets.const_view(stream), lse.pointer(stream)},
        stream);
    cross_entropy_backward({dlogits.view(stream), logits.const_view(stream), targets.const_view(stream),
                            lse.const_pointer(stream), dloss.const_pointer(stream)},
                           stream);
    check_close("loss", loss, exact.loss, naive.loss);
    check_close("dlogits", dlogits, exact.dlogits, naive.dlogits);
    CHECK(dlogits.at(1, 34) == 0.0f);
  });
}
