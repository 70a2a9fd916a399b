#include "data/synth/plan.h"

#include <algorithm>
#include <cmath>

#include "data/synth/emotion_chain.h"
#include "engine/error.h"

namespace mg::synth {

namespace {

constexpr double kMeanGestures = 11, kVideosPerSubject = 1.65;

// Numbers of gestures for each of a split's videos: between the limits, and clips in all.
std::vector<int> draw_lengths(int clips, Draws& draws) {
  // 15 gestures fit neither one video nor two: the one is then longer.
  const int longest = clips == kLongestVideo + 1 ? clips : kLongestVideo;
  const int videos =
      std::max((clips + longest - 1) / longest, static_cast<int>(std::lround(clips / kMeanGestures)));
  std::vector<int> lengths;
  lengths.reserve(static_cast<std::size_t>(videos));
  for (int i = 0; i < videos; ++i) lengths.push_back(clips * (i + 1) / videos - clips * i / videos);
  for (int i = 0; i < 4 * videos; ++i) {
    int& from = lengths[static_cast<std::size_t>(draws.integer(videos))];
    int& to = lengths[static_cast<std::size_t>(draws.integer(videos))];
    const int moved = std::min({1 + draws.integer(2), from - kShortestVideo, kLongestVideo - to});
    if (moved <= 0) continue;
    from -= moved;
    to += moved;
  }
  return lengths;
}

}  // namespace

std::vector<RecordingPlan> make_plan(std::int64_t clips, std::uint64_t seed) {
  if (clips < kMinClips || clips > kMaxClips) {
    throw Error(ExitCode::usage, "synthetic data: expected {} to {} clips, got {}", kMinClips, kMaxClips,
                clips);
  }
  const int total = static_cast<int>(clips);
  const int val = std::max(kShortestVideo, static_cast<int>(std::lround(0.15 * total)));
  const int test = std::max(kShortestVideo, static_cast<int>(std::lround(0.25 * total)));
  struct Split {
    std::string_view name;
    int clips;
  };
  std::vector<RecordingPlan> plans;
  int subjects_before = 0;
  for (const Split& split : {Split{"train", total - val - test}, Split{"val", val}, Split{"test", test}}) {
    Draws draws(seed, split.name, "plan");
    const std::vector<int> lengths = draw_lengths(split.clips, draws);
    const int videos = static_cast<int>(lengths.size());
    const int subjects = std::max(1, static_cast<int>(std::lround(videos / kVideosPerSubject)));
    const int first_emotion = draws.integer(kEmotions);
    for (int i = 0, take = 1, before = -1; i < videos; ++i) {
      const int subject = subjects_before + i * subjects / videos;
      take = subject == before ? take + 1 : 1;
      before = subject;
      RecordingPlan plan;
      plan.subject = fmt::format("s{:03}", subject + 1);
      plan.name = fmt::format("{}_{}", plan.subject, take);
      plan.split = split.name;
      plan.emotion = (first_emotion + i) % kEmotions;
      Draws course(seed, plan.name, "gestures");
      Sequence sequence = draw_sequence(emotion_chains()[static_cast<std::size_t>(plan.emotion)],
                                        lengths[static_cast<std::size_t>(i)], course);
      plan.moods = std::move(sequence.moods);
      plan.gestures = std::move(sequence.gestures);
      plans.push_back(std::move(plan));
    }
    subjects_before += subjects;
  }
  return plans;
}

}  // namespace mg::synth
