// Which clips of a manifest belong to which recording of a list of emotions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace mg {

struct EmotionJoin {
  // Of each row of the emotions: its clips by their start (numbers in the manifest), and its split, which is
  // that of its clips where it names none, "train" where they have none either.
  std::vector<std::vector<std::size_t>> clips;  // none: the row is to be left out
  std::vector<std::string> splits;
  std::vector<std::string> notes;  // recordings that are on one side only, counted and named
};

// Recordings are matched by their names, which must be equal. Emotions of which none belongs to a clip, a
// name that has no partner where one differs from it only in what looks alike, its folder or its ending ("a"
// and "a.mp4"), and a recording without a split whose clips lie in several are an Error(ExitCode::data) that
// names both sides.
EmotionJoin join_emotions(const EmotionLabels& labels, const Manifest& manifest);

}  // namespace mg
