// What the three training stages share: the order of the samples, the schedule, checkpoints and resuming,
// progress, and the record of it all.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/optimizer.h"
#include "train/run_directory.h"
#include "train/stages/best_checkpoint.h"
#include "train/stages/loss_watch.h"

namespace mg {

// One step of training: its number from 0, its epoch, and which samples of [0, samples) it sees.
struct StepPlan {
  std::int64_t step = 0, epoch = 0;
  std::vector<std::int64_t> samples;
};

// The steps of a stage. Each epoch is a new permutation of all samples, cut into batches whose sizes differ
// by at most one; no sample is dropped. A function of the seed and the step alone, so that it can be resumed
// anywhere.
class StepPlanner {
 public:
  StepPlanner(std::int64_t samples, std::int64_t batch, std::int64_t epochs, std::uint64_t seed,
              const std::string& stage);
  std::int64_t steps() const { return steps_per_epoch_ * epochs_; }
  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  StepPlan plan(std::int64_t step);

 private:
  std::int64_t samples_, steps_per_epoch_, epochs_;
  std::uint64_t seed_;
  std::uint32_t site_;
  std::int64_t shuffled_epoch_ = -1;
  std::vector<std::int64_t> order_;
};

class Stage {
 public:
  virtual ~Stage() = default;
  virtual const std::string& name() const = 0;
  virtual std::string unit() const { return "clips"; }
  virtual std::vector<NamedTensor> model() = 0;  // what is saved
  virtual AdamW& optimizer() = 0;
  // Starts reading for a step that comes later; called in step order.
  virtual void prefetch(const StepPlan&) {}
  // Forward and backward: leaves gradients, returns the loss.
  virtual Late<float> forward_backward(const StepPlan& plan) = 0;
  // After an epoch (from 0); empty: not now. last: no epoch follows.
  virtual std::optional<StageFigures> evaluate(std::int64_t epoch, bool last) = 0;
};

struct StageOptions {
  std::int64_t samples = 0, batch = 0, epochs = 0;
  Schedule schedule = Schedule::constant;
  double warmup = 0;  // share of all steps
  LossWatchOptions watch = {};
};

// Trains stage to its end, or to where its loss has stopped falling, from the newest checkpoint when there is
// one (a new run has none). Saves after each epoch or as checkpoint.every says, keeps the best on the val
// split beside it (best_checkpoint.h), and saves when SIGINT or SIGTERM comes: then throws
// Error(ExitCode::interrupted or terminated). Ten steps in a row whose loss or gradients are not
// finite are an Error(ExitCode::failure), and so are tensors with NaN or infinity when they are to be saved.
void run_stage(Stage& stage, const StageOptions& options, const RunDirectory& run, Context& context);

// The last or the best checkpoint of a stage whose training has ended. Error(ExitCode::checkpoint) when there
// is none, or when the stage is not finished.
CheckpointData finished_stage(const RunDirectory& run, const std::string& stage,
                              WhichCheckpoint which = WhichCheckpoint::last);
bool is_finished(const RunDirectory& run, const std::string& stage);

// {"which": "last", "step": 900, "epoch": 30}, of what finished_stage gave. An imported model has no epoch.
nlohmann::ordered_json checkpoint_json(const CheckpointData& data, WhichCheckpoint which);

}  // namespace mg
