#include "train/stages/loss_watch.h"

#include <cmath>

#include "engine/error.h"

namespace mg {

namespace {

constexpr double kThreshold = 1e-4;  // a better loss is better by this share, as in PyTorch

}  // namespace

void LossWatch::step_ends(double train_loss) {
  if (!std::isfinite(train_loss)) return;  // the optimizer skips such a step
  train_sum_ += train_loss;
  ++train_steps_;
}

void LossWatch::epoch_ends(std::optional<double> val_loss) {
  std::optional<double> loss = val_loss;
  if (!options_.val && train_steps_ > 0) loss = train_sum_ / static_cast<double>(train_steps_);
  train_sum_ = 0;
  train_steps_ = 0;
  if (!loss) return;
  if (std::isfinite(*loss) && (!best_ || *loss < *best_ - kThreshold * std::fabs(*best_))) {
    best_ = loss;
    since_best_ = since_change_ = 0;
    return;
  }
  ++since_best_;
  if (++since_change_ <= options_.patience) return;
  lr_factor_ *= options_.factor;
  since_change_ = 0;
}

nlohmann::json LossWatch::state() const {
  nlohmann::json state{{"since_best", since_best_},
                       {"since_change", since_change_},
                       {"lr_factor", lr_factor_},
                       {"train_sum", train_sum_},
                       {"train_steps", train_steps_}};
  if (best_) state["best"] = *best_;
  return state;
}

void LossWatch::restore(const nlohmann::json& state, const std::string& source) {
  try {
    state.at("since_best").get_to(since_best_);
    state.at("since_change").get_to(since_change_);
    state.at("lr_factor").get_to(lr_factor_);
    state.at("train_sum").get_to(train_sum_);
    state.at("train_steps").get_to(train_steps_);
    if (state.contains("best")) best_ = state["best"].get<double>();
  } catch (const nlohmann::json::exception& e) {
    throw Error(ExitCode::checkpoint, "{}: expected what the watch on the loss remembers: {}", source,
                e.what());
  }
}

}  // namespace mg
