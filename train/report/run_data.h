// What a run's folder holds, read for the report. A file that is not there leaves its part empty; a damaged
// one is an Error(ExitCode::data) that names the file and, where there is one, the line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace mg {

struct ConfigEntry {
  std::string section, key, value;  // section is empty for keys before the first one
};

// Figures that a line does not have, or that are null because they were not finite, are not a number here.
struct TrainPoint {
  std::int64_t step = 0, epoch = 0;
  double loss = 0, learning_rate = 0, gradient_norm = 0, clips_per_second = 0;
  double seconds = 0;  // of training since the stage's first step
};
struct EvalPoint {
  std::int64_t step = 0, epoch = 0;
  double top1 = 0, top5 = 0, loss = 0;
};
struct StageCurves {
  std::string stage;
  std::vector<TrainPoint> train;                       // by step
  std::map<std::string, std::vector<EvalPoint>> eval;  // by split, each by step
};

struct Problem {
  std::int64_t line = 0;
  std::string clip, reason;
};

struct Optimum {
  double expected = 0, split = 0;  // percent
};
struct UsedCheckpoint {
  std::string which;  // "last" or "best"
  std::int64_t epoch = 0;
};
struct Result {
  std::string file;  // its name in results/
  std::string stage, mode, split, manifest;
  bool shuffled = false;
  std::optional<Optimum> optimum;
  std::optional<UsedCheckpoint> checkpoint;  // the model's, where the file says
  Classification figures;
};

struct SplitSize {
  std::string split;
  std::int64_t clips = 0, classes = 0, people = 0, recordings = 0;
};

struct RunData {
  std::string name;  // of the folder; of the one around it too where that is a common one ("demo/run")
  bool has_config = false, has_environment = false, has_metrics = false, has_problems = false;
  std::vector<ConfigEntry> config;                               // in the file's order
  std::vector<std::pair<std::string, std::string>> environment;  // in the file's order
  std::vector<SplitSize> data;                                   // by split: train, val, test, others
  std::vector<StageCurves> stages;  // contrastive, classifier, emotion, then others by name
  std::vector<Problem> problems;
  std::vector<Result> results;  // similarity, classifier, emotion, then others; each by file name
};

RunData read_run_data(const std::filesystem::path& run);

}  // namespace mg
