// Scores for clips of any number, decoded a few at a time: no more of them are in memory than a group holds.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/manifest.h"
#include "train/gesture_scores.h"

namespace mg {

// What became of a clip.
struct ScoredClip {
  const Clip& clip;
  std::span<const float> scores;  // of the labels; empty: it could not be read
  std::string fault;              // why
};

// Decodes the clips and scores them; take gets each, in order. A clip that cannot be read does not lose the
// others. SIGINT and SIGTERM end it after the present group: Error(ExitCode::interrupted or terminated).
void score_videos(Context& ctx, const Config& config, const std::vector<Clip>& clips, const ScoreClips& score,
                  const std::function<void(const ScoredClip&)>& take);

}  // namespace mg
