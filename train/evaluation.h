// How good a run is on a split, as results that people and tools read.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "train/gesture_data.h"
#include "train/gesture_model.h"
#include "train/metrics.h"

namespace mg {

// A result: the figures, and to_json's object with what they are of (stage, mode, split, manifest,
// checkpoint:
// {"which": "last" or "best", "step", "epoch"} of the stage; the stages before it are the last in either
// case).
struct Evaluation {
  Classification figures;
  nlohmann::ordered_json json;
};

// Writes the JSON to the run's results/<stage>-<split>[-shuffled][-best].json, whose path it returns.
std::filesystem::path result_file(const RunDirectory& run, const std::string& stage, const std::string& split,
                                  bool shuffled = false, bool best = false);
void save_evaluation(const RunDirectory& run, const Evaluation& evaluation);
// "contrastive on val" and the table of its figures.
std::string to_text(const Evaluation& evaluation, bool per_class = false);

// Every clip of the split counts; those that could not be decoded count as wrong.
Evaluation evaluate_gestures(Context& ctx, GestureModel& model, const GestureData& data,
                             const std::string& split, GestureMode mode, bool shuffle_frames);

// The recognised class of every clip of the manifest, -1 where it could not be decoded.
std::vector<std::int32_t> recognise_gestures(Context& ctx, GestureModel& model, const GestureData& data);

// Emotion of the split's videos from the gestures that model recognises (the last checkpoints, on which the
// stage was trained), by the checkpoint which of the third stage. truth: a truth.json of `mgtrain synth`,
// whose optimum is shown beside; may be empty.
Evaluation evaluate_emotions(Context& ctx, const RunDirectory& run, GestureModel& model,
                             const GestureData& data, const std::filesystem::path& emotions,
                             const std::string& split, const std::filesystem::path& truth,
                             WhichCheckpoint which = WhichCheckpoint::last);

}  // namespace mg
