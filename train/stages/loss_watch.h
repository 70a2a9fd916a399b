// Watches a loss from epoch to epoch: lowers the learning rates when it has stopped falling, as PyTorch's
// ReduceLROnPlateau does, and ends the training when it has not fallen for long. The loss is the val split's,
// or else the epoch's mean training loss. What it remembers is part of the checkpoint.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace mg {

struct LossWatchOptions {
  bool val = false;    // watch the val split's loss; epochs without a look at it do not count
  double factor = 1;   // on the learning rates, each time
  int patience = 1;    // epochs without a better loss that are let pass before that
  int stop_after = 0;  // epochs without a better loss that end the training; 0: never
};

class LossWatch {
 public:
  explicit LossWatch(const LossWatchOptions& options) : options_(options) {}

  void step_ends(double train_loss);
  void epoch_ends(std::optional<double> val_loss);
  double lr_factor() const { return lr_factor_; }
  bool stops() const { return options_.stop_after > 0 && since_best_ >= options_.stop_after; }

  nlohmann::json state() const;
  // Error(ExitCode::checkpoint) with source for what state() did not make.
  void restore(const nlohmann::json& state, const std::string& source);

 private:
  LossWatchOptions options_;
  std::optional<double> best_;
  int since_best_ = 0, since_change_ = 0;  // epochs; since the best loss, or since the rates were lowered
  double lr_factor_ = 1;
  double train_sum_ = 0;  // of this epoch
  std::int64_t train_steps_ = 0;
};

}  // namespace mg
