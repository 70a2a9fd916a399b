#include "data/emotion_join.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "engine/error.h"
#include "engine/names.h"
#include "engine/nearest_name.h"

namespace mg {

namespace {

constexpr std::size_t kNamed = 5;

using ClipsByVideo = std::map<std::string, std::vector<std::size_t>>;

ClipsByVideo clips_by_video(const Manifest& manifest) {
  ClipsByVideo videos;
  for (std::size_t i = 0; i < manifest.clips.size(); ++i) videos[manifest.clips[i].video].push_back(i);
  const auto start = [&](std::size_t i) {
    const Clip& clip = manifest.clips[i];
    return clip.frames ? static_cast<double>(clip.frames->first) : clip.time ? clip.time->start : 0;
  };
  for (auto& [video, clips] : videos) {
    std::stable_sort(clips.begin(), clips.end(), [&](auto a, auto b) { return start(a) < start(b); });
  }
  return videos;
}

struct NamedLine {
  std::string name;
  std::int64_t line;
};

// "'a' (line 2), 'b' (line 3), ..."
std::string examples(const std::vector<NamedLine>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamed); ++i) {
    text += fmt::format("{}'{}' (line {})", i > 0 ? ", " : "", names[i].name, names[i].line);
  }
  return text + (names.size() > kNamed ? ", ..." : "");
}

// A recording's name as it looks, without the ending of a video file and with / between folders.
std::string plain_path(std::string name) {
  std::replace(name.begin(), name.end(), '\\', '/');
  if (name.starts_with("./")) name.erase(0, 2);
  std::string plain = appearance(name);
  static constexpr std::array<std::string_view, 16> kEndings{".mp4", ".mkv",  ".avi", ".mov", ".webm", ".m4v",
                                                             ".mpg", ".mpeg", ".wmv", ".flv", ".ts",   ".mts",
                                                             ".ogv", ".gif",  ".csv", ".txt"};
  for (const std::string_view ending : kEndings) {
    if (plain.ends_with(ending)) return plain.substr(0, plain.size() - ending.size());
  }
  return plain;
}

bool ends_with_path(const std::string& path, const std::string& end) {
  return path == end || (!end.empty() && path.ends_with("/" + end));
}

// How two different names of what seems to be one recording differ; "" for names of two.
std::string slight_difference(const std::string& a, const std::string& b) {
  if (appearance(a) == appearance(b)) return how_they_differ(a, b);
  const std::string x = plain_path(a), y = plain_path(b);
  return ends_with_path(x, y) || ends_with_path(y, x) ? "only in its folder or ending" : "";
}

struct Unmatched {
  std::vector<NamedLine> emotions;  // videos of the emotions without a clip
  std::vector<NamedLine> videos;    // videos of the manifest without an emotion, with the line of a clip
};

Unmatched unmatched(const EmotionLabels& labels, const Manifest& manifest, const ClipsByVideo& videos) {
  Unmatched result;
  std::set<std::string> with_emotion;
  for (const VideoEmotion& row : labels.videos) {
    if (!videos.contains(row.video)) result.emotions.push_back({row.video, row.line});
    with_emotion.insert(row.video);
  }
  for (const auto& [video, clips] : videos) {
    if (!with_emotion.contains(video)) result.videos.push_back({video, manifest.clips[clips.front()].line});
  }
  return result;
}

void refuse_slight_differences(const Unmatched& sides, const EmotionLabels& labels,
                               const Manifest& manifest) {
  std::multimap<std::string, const NamedLine*> by_file;  // by the plain name behind the last /
  const auto file_of = [](const std::string& name) {
    const std::string plain = plain_path(name);
    return plain.substr(plain.rfind('/') + 1);
  };
  for (const NamedLine& video : sides.videos) by_file.emplace(file_of(video.name), &video);
  for (const NamedLine& row : sides.emotions) {
    const auto [begin, end] = by_file.equal_range(file_of(row.name));
    for (auto candidate = begin; candidate != end; ++candidate) {
      const NamedLine& video = *candidate->second;
      const std::string difference = slight_difference(row.name, video.name);
      if (difference.empty()) continue;
      throw Error(
          ExitCode::data,
          "{}:{}: the video '{}' has no clip in {}, where '{}' (line {}) differs {}: write both the same "
          "way{}",
          labels.path.string(), row.line, row.name, manifest.path.string(), video.name, video.line,
          difference,
          manifest.names_videos ? "" : " (without a column 'video', as here, a clip's file is its video)");
    }
  }
}

void refuse_no_match(const Unmatched& sides, const EmotionLabels& labels, const Manifest& manifest) {
  if (sides.emotions.size() < labels.videos.size()) return;
  std::vector<std::string> names;
  for (const NamedLine& video : sides.videos) names.push_back(video.name);
  const std::string& first = sides.emotions.front().name;
  throw Error(
      ExitCode::data,
      "{}: none of its {} videos has a clip in {}: they are {}, and those of the clips {}; the nearest to "
      "'{}' is '{}'{}",
      labels.path.string(), labels.videos.size(), manifest.path.string(), examples(sides.emotions),
      examples(sides.videos), first, nearest_name(first, names),
      manifest.names_videos
          ? ""
          : ". The manifest has no column 'video', so that each file counts as a video: add one");
}

std::string split_of(const VideoEmotion& row, const EmotionLabels& labels, const Manifest& manifest,
                     const std::vector<std::size_t>& clips) {
  if (!row.split.empty()) return row.split;
  std::set<std::string> splits;
  for (const std::size_t clip : clips) splits.insert(manifest.clips[clip].split);
  if (splits.size() > 1) {
    throw Error(ExitCode::data, "{}:{}: video '{}' has no split, and its clips lie in several: {}",
                labels.path.string(), row.line, row.video, fmt::join(splits, ", "));
  }
  return splits.empty() || splits.begin()->empty() ? "train" : *splits.begin();
}

}  // namespace

EmotionJoin join_emotions(const EmotionLabels& labels, const Manifest& manifest) {
  const ClipsByVideo videos = clips_by_video(manifest);
  const Unmatched sides = unmatched(labels, manifest, videos);
  refuse_slight_differences(sides, labels, manifest);
  refuse_no_match(sides, labels, manifest);
  EmotionJoin join;
  for (const VideoEmotion& row : labels.videos) {
    const auto found = videos.find(row.video);
    join.clips.push_back(found == videos.end() ? std::vector<std::size_t>() : found->second);
    join.splits.push_back(split_of(row, labels, manifest, join.clips.back()));
  }
  if (!sides.emotions.empty()) {
    join.notes.push_back(fmt::format("{}: {} of {} videos have no clip in {} and are left out: {}",
                                     labels.path.string(), sides.emotions.size(), labels.videos.size(),
                                     manifest.path.string(), examples(sides.emotions)));
  }
  if (!sides.videos.empty()) {
    join.notes.push_back(fmt::format("{}: {} of {} videos have no emotion in {}: {}", manifest.path.string(),
                                     sides.videos.size(), videos.size(), labels.path.string(),
                                     examples(sides.videos)));
  }
  return join;
}

}  // namespace mg
