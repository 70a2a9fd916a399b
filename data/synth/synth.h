// Synthetic micro gestures: untrimmed videos of an animated upper body, with everything that a data set has:
// gestures with subjects and splits, emotions, and the best accuracy that any reader of the gestures can
// reach.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace mg {

struct SynthOptions {
  std::filesystem::path out;
  std::int64_t clips = 600;  // gestures in all, at least one video's worth in each split
  std::uint64_t seed = 1;
  int threads = 1;
  std::function<void(std::int64_t done, std::int64_t total)> progress;  // videos
};

struct SynthResult {
  std::filesystem::path
      manifest;  // out/manifest.csv: clip,label,start_frame,end_frame,caption,subject,split,video
  std::filesystem::path emotions;  // out/emotions.csv: video,emotion,subject,split
  std::filesystem::path truth;     // out/truth.json: the chain's parameters, and the optimum for each split
  std::int64_t videos = 0, clips = 0;
  bool made = false;  // false: the folder held the same data set already
};

// Writes videos/*.mp4 and the lists. The same options give the same files. A folder that holds a data set of
// these options is left as it is; one that holds anything else is an Error(ExitCode::usage). Written aside
// and renamed, so that an interrupted run leaves no half data set.
SynthResult make_synthetic_data(const SynthOptions& options);

// The names of the gestures (labels), in order.
const std::vector<std::string>& synth_gestures();

}  // namespace mg
