// The lists a data set consists of. Clips: columns clip,label and optionally start_frame,end_frame (0-based,
// end inclusive) or start,end (seconds, half-open), caption, subject, split, video. Emotions: columns
// video,emotion,subject,split. Other columns are ignored; paths are relative to the file's folder. Labels,
// emotions, subjects and recordings are in normal_name() form; the optional columns and numbers are empty
// where is_missing() says so; splits are as standard_split() has them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace mg {

struct FrameRange {
  std::int64_t first, last;  // both belong to the clip
};
struct TimeRange {
  double start,
      end;  // seconds of the file's presentation time; a frame is in it when start <= its time < end
};

struct Clip {
  std::int64_t line = 0;       // of the manifest
  std::string name;            // the path as the manifest writes it
  std::filesystem::path path;  // resolved against the manifest's folder, in the spelling that is there
  std::optional<FrameRange> frames;
  std::optional<TimeRange> time;  // at most one of the two; neither: the whole file
  std::string label, caption;     // caption: the label where there is none
  std::string subject, split;     // may be empty
  std::string video;              // the recording the clip belongs to; the clip's name where there is none
};

// "all", "frames 3-8" or "seconds 1.5-2.25".
std::string range_text(const Clip& clip);

struct Manifest {
  std::filesystem::path path;
  std::vector<Clip> clips;
  bool names_videos = false;       // it has a column `video`
  std::vector<std::string> notes;  // what was read otherwise than written, or left out: one line each
};

// Every fault is an Error(ExitCode::data) with file and line: a missing column (with the nearest name that is
// there), an empty clip or label, a number that is none, an end before its start, only half a range, both
// kinds of range, the same clip and range twice, two labels or splits that look alike, no clips at all.
// Where labels are not needed, neither the column nor its fields are: a label may then be "".
enum class Labels { needed, optional };
Manifest read_manifest(const std::filesystem::path& path, Labels labels = Labels::needed);

// The split that a name means: train, val or test for these in any case and for training, validation, valid,
// dev, development and testing; any other name in normal_name() form.
std::string standard_split(const std::string& name);

// The numbers of a split's clips, in order. A manifest without splits is all "train".
std::vector<std::int64_t> clips_of_split(const Manifest& manifest, const std::string& split);
// The same; a split that no clip has is an Error(ExitCode::data) that lists those there are.
std::vector<std::int64_t> require_split(const Manifest& manifest, const std::string& split);

struct VideoEmotion {
  std::int64_t line = 0;
  std::string video, emotion, subject, split;
};
struct EmotionLabels {
  std::filesystem::path path;
  std::vector<VideoEmotion> videos;
  std::vector<std::string> notes;  // as a manifest's
};
// Faults as above; a video listed twice is one. A file without a split column takes no split from here: the
// split is then empty.
EmotionLabels read_emotions(const std::filesystem::path& path);

}  // namespace mg
