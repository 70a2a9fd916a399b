// A training curve beside PyTorch's in fp64. At each step the loss may be three times as far from it as
// PyTorch's own fp32 has been up to that step: rounding grows from step to step in any implementation.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/optimizer.h"
#include "models/golden.h"

namespace mg::test {

constexpr double kCurveFloor = 1e-6;

// golden: what shared.py's curve() gives. Prints the largest error, and the bound there, by ranges of steps.
inline void compare_curve(const std::string& name, const nlohmann::json& golden,
                          const std::vector<double>& losses) {
  const auto expected = golden["losses"].get<std::vector<double>>();
  const auto fp32 = golden["fp32_distance"].get<std::vector<double>>();
  REQUIRE(losses.size() == expected.size());
  std::string line = fmt::format("proof: {}, error of the loss (bound) by steps:", name);
  double distance = 0;
  std::size_t step = 0;
  for (std::size_t end : {1, 3, 6, 10, 20, 30, 40, 50}) {
    if (step >= losses.size()) break;
    end = std::min(end, losses.size());
    line += fmt::format(" {}-{}", step, end - 1);
    double worst = 0, worst_bound = 0;
    for (; step < end; ++step) {
      distance = std::max(distance, fp32[step]);
      const double error = std::abs(losses[step] - expected[step]) / expected[step];
      const double bound = std::max(kCurveFloor, 3 * distance);
      CAPTURE(name);
      CAPTURE(step);
      CHECK(error <= bound);
      if (error < worst) continue;
      worst = error;
      worst_bound = bound;
    }
    line += fmt::format(" {:.1e} ({:.1e});", worst, worst_bound);
  }
  MESSAGE(line);
}

// Rows of a batch: stridden through all, so that labels are mixed.
inline std::vector<std::int64_t> strided_rows(std::int64_t step, std::int64_t batch, std::int64_t count) {
  std::vector<std::int64_t> rows;
  for (std::int64_t j = 0; j < batch; ++j) rows.push_back((step * batch + j) * 97 % count);
  return rows;
}

// Trains: loss(step) builds the loss on the context's tape.
template <class Loss>
std::vector<double> train(Context& ctx, AdamW& optimizer, int steps, Loss&& loss) {
  std::vector<double> losses;
  const Restore<bool> training(ctx.training, true);
  for (int step = 0; step < steps; ++step) {
    Tape tape;
    const Restore<Tape*> recording(ctx.tape, &tape);
    const Value value = loss(step);
    losses.push_back(value.data.at(0));
    tape.backward(ctx, value);
    optimizer.step(ctx);
  }
  return losses;
}

}  // namespace mg::test
