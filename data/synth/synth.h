// Synthetic micro gestures: untrimmed videos of an animated upper body, with everything that a data set has:
// gestures with subjects and splits, emotions, and the best accuracy that any reader of the gestures can
// reach. Six pairs of gestures are each other's reversal in time: without the order of its frames a clip
// shows the pair (at most 50 %), not the gesture. A video's emotion drives its gestures by a hidden Markov
// chain.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace mg {

struct SynthOptions {
  std::filesystem::path out;
  std::int64_t clips = 600;  // gestures in all, at least 24; 60 / 15 / 25 % for train / val / test
  std::uint64_t seed = 1;
  int threads = 1;
  // Videos; one call at a time, from any of the threads. What it throws ends the work and is passed on.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

struct SynthResult {
  std::filesystem::path manifest;  // out/manifest.csv
  std::filesystem::path emotions;  // out/emotions.csv
  std::filesystem::path truth;     // out/truth.json
  std::int64_t videos = 0, clips = 0;
  bool made = false;  // false: the folder held the same data set already
};

// Writes into out:
//   videos/NAME.mp4  160 x 120, 25 frames a second, 8 to 14 gestures each; H.264, or MPEG-4 part 2 where
//   FFmpeg
//                    has no x264
//   manifest.csv     clip,label,start_frame,end_frame,caption,subject,split,video: clip is the video's path
//   from
//                    here; frames count from 0 and both belong to the gesture, give or take the few frames by
//                    which annotators differ (16 to 40 frames)
//   emotions.csv     video,emotion,subject,split
//   truth.json       what nobody would know of real data:
//     made_with    {format, clips, seed}: the options, by which a finished data set is recognised
//     frame        {width, height, fps}
//     gestures, emotions, moods   the names; numbers below index them
//     chain        {EMOTION: {start [mood], transitions [mood before][mood], emissions [mood][gesture]}}
//     optimum      percent: {expected, train, val, test}. The Bayes rule knows the chains and the true
//     gestures.
//                  expected: its accuracy over the chains' distribution, the mean of the larger posterior of
//                  20,000 drawn videos as long as these; train, val, test: what it gets right of these
//                  videos, which for few videos is far from expected by chance
//     splits       {SPLIT: {subjects, videos, clips}}
//     videos       [{video, emotion, posterior [emotion] given the gestures, gestures [], moods [],
//                  spans [[first frame, last frame], ...] without the annotators' error}]
// The same options give the same files, on any number of threads. A folder that holds a data set of these
// options is left as it is; one that holds anything else is an Error(ExitCode::usage). Written aside as out +
// ".tmp" and renamed, so that an interrupted run leaves no half data set; what a killed run left there is
// removed.
SynthResult make_synthetic_data(const SynthOptions& options);

// The names of the gestures (labels), in order.
const std::vector<std::string>& synth_gestures();

}  // namespace mg
