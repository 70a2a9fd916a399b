// A run that starts from another one (`train --from`): with its weights, vocabulary and configuration, but as
// a training of its own, from step 0 of its schedule and with a fresh optimizer.
//
// What it needs of the other is copied when it starts, so that the other may go away:
//
//   from/run.json      the run's name, and of each stage the step and the hash
//   from/config.toml, vocab.txt, classes.json, emotions.json
//   from/<stage>/      a checkpoint's model, of each stage that was finished
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/module.h"
#include "train/classes.h"
#include "train/run_directory.h"
#include "train/stages/best_checkpoint.h"

namespace mg {

// The keys that say which tensors a stage's model has, and how they are used: those of a run and of the one
// that it starts from must be equal.
const std::vector<std::string>& shape_keys(const std::string& stage);

// The run that another is to start from.
class EarlierRun {
 public:
  // Reads the stages that it finished, the first at least. Error(ExitCode::usage): no run;
  // Error(ExitCode::checkpoint): its first stage is not finished, or a checkpoint is damaged.
  EarlierRun(const std::filesystem::path& run, WhichCheckpoint which);

  // Its configuration, without where its own weights and vocabulary came from.
  const Config& config() const { return config_; }
  // "first, last step 900, XXH3-128 0123...": the value of the key `from`.
  const std::string& identity() const { return identity_; }
  // Error(ExitCode::config) that lists the keys by which config describes another model, or other weights.
  void check_fits(const Config& config) const;
  // Makes the folder, whole or not at all.
  void copy_to(const std::filesystem::path& folder) const;

 private:
  struct FinishedStage {
    CheckpointData data;
    std::string hash;
  };
  RunDirectory run_;
  WhichCheckpoint which_;
  Config config_;
  std::string identity_;
  std::map<std::string, FinishedStage> stages_;
};

// The run that --from names for the run `before` (null: a new one). None without --from, and where before has
// its copy already and the other is gone. Error(ExitCode::config) when before started from another.
std::unique_ptr<EarlierRun> earlier_run(const std::filesystem::path& from, WhichCheckpoint which,
                                        const RunDirectory* before);

// The copy in a run's folder.
class StartingPoint {
 public:
  // Of the run, which must outlive it. Error(ExitCode::checkpoint) when it was stopped before it had its
  // copy.
  explicit StartingPoint(const RunDirectory& run);

  std::string vocabulary() const;
  // Copy a stage's weights into module, and say so on stderr, or why the stage starts from random ones: the
  // other run did not finish it, or it has other classes or emotions or another shape here.
  void load_contrastive(Module& module) const;
  void load_classifier(Module& module, const std::vector<GestureClass>& classes) const;
  void load_emotion(Module& module, const std::vector<GestureClass>& classes,
                    const std::vector<std::string>& emotions) const;

 private:
  bool same_classes(const std::vector<GestureClass>& classes) const;
  void load(const std::string& stage, Module& module, std::string why_not) const;

  const RunDirectory& run_;
  std::filesystem::path folder_;
  nlohmann::json record_;
};

}  // namespace mg
