// The checkpoint of a stage with the best figures on the val split, kept beside the newest ones as
// ckpt/<stage>/best: the model without the optimizer's state.
//
// Better is a higher top-1; of equals the one with the smaller loss, where the stage has one; else the
// earlier. Which one is the best so far is part of every step_N, written after it: a run that is killed in
// between does the steps again, and writes the same best again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "engine/checkpoint.h"

namespace mg {

enum class WhichCheckpoint { last, best };

// What a stage saw of the val split.
struct StageFigures {
  double top1 = 0, top5 = 0;  // percent
  std::optional<double> loss = {};
};

class BestCheckpoint {
 public:
  // checkpoints: the folder ckpt/<stage>. keep: false does nothing, and knows of no best.
  BestCheckpoint(std::filesystem::path checkpoints, bool keep)
      : checkpoints_(std::move(checkpoints)), keep_(keep) {}

  // Saves what data() makes if these figures, after so many steps and epochs, are better than all before.
  void offer(const StageFigures& figures, std::int64_t step, std::int64_t epoch,
             const std::function<CheckpointData()>& data);

  // For people, when the stage has ended: the best epoch beside the last. "" when there is nothing to say.
  std::string summary(const std::optional<StageFigures>& last) const;

  nlohmann::json state() const;  // null where there is none
  // Error(ExitCode::checkpoint) with source for what state() did not make.
  void restore(const nlohmann::json& state, const std::string& source);

 private:
  struct Best {
    StageFigures figures;
    std::int64_t step, epoch;
  };
  std::filesystem::path checkpoints_;
  bool keep_;
  std::optional<Best> best_;
};

// The best checkpoint in ckpt/<stage>, which state (of the last one) tells of. Error(ExitCode::checkpoint)
// when none was kept, or the folder holds another.
CheckpointData best_checkpoint(const std::filesystem::path& checkpoints, const nlohmann::json& state);

}  // namespace mg
