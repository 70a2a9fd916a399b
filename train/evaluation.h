// How good a run is on a split, as results that people and tools read.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "train/gesture_data.h"
#include "train/gesture_model.h"
#include "train/metrics.h"

namespace mg {

// A result: the figures, and to_json's object with what they are of (stage, mode, split, manifest,
// checkpoint: {"which": "last" or "best", "step", "epoch"} of the stage; the stages before it are the last in
// either case).
struct Evaluation {
  Classification figures;
  nlohmann::ordered_json json;
  std::string predictions;  // of every sample: the text of a PredictionTable
  std::string remarks;      // for people, below the table of the figures
};

std::filesystem::path result_file(const RunDirectory& run, const std::string& stage,
                                  const std::string& split);
// Writes the predictions and the JSON to the folder, which is made where it is missing:
// <stage>-<split>[-zero-shot][-shuffled][-best].csv and .json.
void save_evaluation(const std::filesystem::path& folder, const Evaluation& evaluation);
// "contrastive on val" and the table of its figures.
std::string to_text(const Evaluation& evaluation, bool per_class = false);

// Every clip of the split counts; those that could not be decoded count as wrong. A label that training
// lacked is an Error(ExitCode::data).
Evaluation evaluate_gestures(Context& ctx, GestureModel& model, const GestureData& data,
                             const std::string& split, GestureMode mode, bool shuffle_frames);

// Scores [clips, width] of clips by what scores those that can be read; minus infinity, which ranks last, for
// the others.
std::vector<float> scores_of(Context& ctx, const Config& config, const GestureData& data,
                             const std::vector<std::int64_t>& clips, std::size_t width, bool shuffle_frames,
                             const ScoreClips& score);

// The figures of clips, whose targets are numbers of the labels, with their JSON and predictions.
Evaluation evaluation_of(const GestureData& data, const std::string& split,
                         const std::vector<std::int64_t>& clips, const std::vector<float>& scores,
                         const std::vector<std::int32_t>& targets, const std::vector<std::string>& labels);

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
