// Trains the stages of a run, one after the other.
#pragma once

#include <filesystem>
#include <string>

#include "train/earlier_run.h"
#include "train/gesture_data.h"
#include "train/run_directory.h"

namespace mg {

struct TrainOptions {
  DataOptions data;
  std::filesystem::path emotions;  // empty: no third stage
  std::filesystem::path run;
  std::string stage = "all";  // contrastive, classifier, emotion, or all that the inputs allow
  bool resume = false;
  std::string origin;  // of the configuration, for people: "preset mini"
};

// Says on stdout what it understood: the data, the stages, where the run will be. Each stage starts from what
// the one before left in the run. Figures on the val split, where there is one, go to
// results/<stage>-val.json and, as tables, to stdout. Bad clips go to problems.json. earlier: the run that a
// new one starts from; config then fits it, and names it (the key `from`).
void train_run(const TrainOptions& options, const Config& config, const EarlierRun* earlier = nullptr);

// For people, when train_run is done: the run's figures and what to do with it, as lines for a shell.
std::string next_steps(const TrainOptions& options);

}  // namespace mg
