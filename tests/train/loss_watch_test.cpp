#include "train/stages/loss_watch.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "engine/error.h"

namespace mg {

namespace {

std::vector<double> factors(LossWatch& watch, const std::vector<double>& losses) {
  std::vector<double> all;
  for (const double loss : losses) {
    watch.epoch_ends(loss);
    all.push_back(watch.lr_factor());
  }
  return all;
}

}  // namespace

TEST_CASE("the rates fall as PyTorch's ReduceLROnPlateau(patience=1, factor=0.5) lets them") {
  LossWatch watch({.val = true, .factor = 0.5, .patience = 1});
  // torch 2.15 on the same losses. 0.89995 is no better than 0.9 by a share of 1e-4.
  CHECK(factors(watch, {1, 0.9, 0.95, 0.89995, 0.9, 0.9, 0.8, 0.81, 0.79, 0.8, 0.8, NAN, 0.8}) ==
        std::vector<double>{1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625});
}

TEST_CASE("without a val split the epoch's mean training loss is watched, without steps that were skipped") {
  LossWatch watch({.factor = 0.5, .patience = 0});
  const auto epoch = [&](const std::vector<double>& losses) {
    for (const double loss : losses) watch.step_ends(loss);
    watch.epoch_ends(std::nullopt);
    return watch.lr_factor();
  };
  CHECK(epoch({3, 1}) == 1);
  CHECK(epoch({2, INFINITY, 1.5}) == 1);
  CHECK(epoch({1.7, 1.9}) == 0.5);
  CHECK(epoch({1}) == 0.5);
  CHECK(epoch({}) == 0.5);
}

TEST_CASE("epochs without a look at the val split do not count") {
  LossWatch watch({.val = true, .factor = 0.5, .patience = 0, .stop_after = 2});
  watch.epoch_ends(1);
  for (int i = 0; i < 5; ++i) {
    watch.step_ends(7);
    watch.epoch_ends(std::nullopt);
  }
  CHECK(watch.lr_factor() == 1);
  watch.epoch_ends(2);
  CHECK(watch.lr_factor() == 0.5);
  CHECK_FALSE(watch.stops());
  watch.epoch_ends(1);
  CHECK(watch.stops());
}

TEST_CASE("what the watch remembers survives a checkpoint to the bit") {
  const LossWatchOptions options{.factor = 0.7, .patience = 1, .stop_after = 4};
  const auto loss = [](int step) { return 1 + std::sin(step * 0.7) / (1 + step % 7); };
  for (int cut = 0; cut < 40; ++cut) {
    LossWatch before(options), uncut(options);
    for (int step = 0; step < 40; ++step) {
      if (step == cut) {
        const auto stored = nlohmann::json::parse(before.state().dump());
        before = LossWatch(options);
        before.restore(stored, "here");
      }
      for (LossWatch* watch : {&before, &uncut}) {
        watch->step_ends(loss(step));
        if (step % 3 == 2) watch->epoch_ends(std::nullopt);
      }
    }
    CHECK(before.state() == uncut.state());
    CHECK(uncut.lr_factor() < 1);
  }
  LossWatch watch(options);
  CHECK_THROWS_WITH_AS(watch.restore({{"best", 1}}, "step_3"), doctest::Contains("step_3: expected"), Error);
}

}  // namespace mg
