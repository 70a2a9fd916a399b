// Who does what in which recording: the data set before any picture is drawn.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mg::synth {

inline constexpr int kMinClips = 24, kMaxClips = 1000000;
inline constexpr int kShortestVideo = 8, kLongestVideo = 14;  // gestures; 15 where that is all a split has

struct RecordingPlan {
  std::string name, subject;
  std::string_view split;
  int emotion = 0;
  std::vector<int> moods, gestures;
};

// 60 % of the gestures for training, 15 % for validation, 25 % for testing, of different subjects; emotions
// alternate, so that they are equally frequent in each split and, where a subject has two recordings, in each
// subject. clips outside kMinClips .. kMaxClips is an Error(ExitCode::usage).
std::vector<RecordingPlan> make_plan(std::int64_t clips, std::uint64_t seed);

}  // namespace mg::synth
