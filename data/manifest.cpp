#include "data/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/nearest_name.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

// A row's fields by column name.
class RowReader {
 public:
  RowReader(const CsvTable& table, const CsvRow& row) : table_(table), row_(row) {}

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::data, "{}:{}: {}", table_.path.string(), row_.line,
                fmt::format(format, std::forward<Args>(args)...));
  }
  // "" where there is no such column.
  const std::string& text(const char* column) const {
    static const std::string none;
    const int i = table_.column(column);
    return i < 0 ? none : row_.fields[static_cast<std::size_t>(i)];
  }
  const std::string& required(const char* column) const {
    const std::string& value = text(column);
    if (value.empty()) fail("{} is empty", column);
    return value;
  }
  template <class Number>
  Number number(const char* column) const {
    const std::string& value = text(column);
    Number result{};
    const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (status != std::errc() || end != value.data() + value.size()) {
      fail("{}: expected a number, got '{}'", column, value);
    }
    return result;
  }
  // Both columns are filled; false when neither is.
  bool has_pair(const char* first, const char* second) const {
    const bool a = !text(first).empty(), b = !text(second).empty();
    if (a != b) fail("{} is given without {}", a ? first : second, a ? second : first);
    return a;
  }

 private:
  const CsvTable& table_;
  const CsvRow& row_;
};

CsvTable read_table(const fs::path& path, std::initializer_list<const char*> required) {
  CsvTable table = read_csv(path);
  for (const char* name : required) {
    if (table.column(name) >= 0) continue;
    const std::string nearest = nearest_name(name, table.header);
    throw Error(ExitCode::data, "{}:1: there is no column '{}'{}", path.string(), name,
                nearest.empty() ? "" : fmt::format(" (nearest: '{}')", nearest));
  }
  return table;
}

void read_range(const RowReader& row, Clip& clip) {
  const bool by_frame = row.has_pair("start_frame", "end_frame"), by_time = row.has_pair("start", "end");
  if (by_frame && by_time) row.fail("both start_frame,end_frame and start,end are given: expected one");
  if (by_frame) {
    const FrameRange range{row.number<std::int64_t>("start_frame"), row.number<std::int64_t>("end_frame")};
    if (range.first < 0) row.fail("start_frame {} is below 0", range.first);
    if (range.last < range.first) row.fail("end_frame {} is before start_frame {}", range.last, range.first);
    clip.frames = range;
  }
  if (by_time) {
    const TimeRange range{row.number<double>("start"), row.number<double>("end")};
    if (!std::isfinite(range.start) || !std::isfinite(range.end))
      row.fail("start,end: expected finite numbers");
    if (range.start < 0) row.fail("start {} is below 0", range.start);
    if (range.end <= range.start) row.fail("end {} is not after start {}", range.end, range.start);
    clip.time = range;
  }
}

Clip read_clip(const RowReader& row, std::int64_t line, const fs::path& folder) {
  Clip clip;
  clip.line = line;
  clip.name = row.required("clip");
  clip.path = (folder / clip.name).lexically_normal();
  read_range(row, clip);
  clip.label = row.required("label");
  clip.caption = row.text("caption").empty() ? clip.label : row.text("caption");
  clip.subject = row.text("subject");
  clip.split = row.text("split");
  clip.video = row.text("video").empty() ? clip.name : row.text("video");
  return clip;
}

}  // namespace

std::string range_text(const Clip& clip) {
  if (clip.frames) return fmt::format("frames {}-{}", clip.frames->first, clip.frames->last);
  if (clip.time) return fmt::format("seconds {}-{}", clip.time->start, clip.time->end);
  return "all";
}

Manifest read_manifest(const fs::path& path) {
  const CsvTable table = read_table(path, {"clip", "label"});
  Manifest manifest{path, {}};
  std::map<std::pair<std::string, std::string>, std::int64_t> seen;  // file and range -> line
  for (const CsvRow& csv_row : table.rows) {
    const RowReader row(table, csv_row);
    Clip clip = read_clip(row, csv_row.line, path.parent_path());
    const auto [twin, is_new] = seen.emplace(std::pair(clip.path.string(), range_text(clip)), clip.line);
    if (!is_new)
      row.fail("the clip {} ({}) is in line {} already", clip.name, range_text(clip), twin->second);
    manifest.clips.push_back(std::move(clip));
  }
  if (manifest.clips.empty()) throw Error(ExitCode::data, "{}: there are no clips in it", path.string());
  return manifest;
}

std::vector<std::int64_t> clips_of_split(const Manifest& manifest, const std::string& split) {
  const auto has_none = [](const Clip& clip) { return clip.split.empty(); };
  const bool no_splits = std::all_of(manifest.clips.begin(), manifest.clips.end(), has_none);
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < manifest.clips.size(); ++i) {
    const std::string& own = manifest.clips[i].split;
    if (no_splits ? split == "train" : !split.empty() && own == split) {
      numbers.push_back(static_cast<std::int64_t>(i));
    }
  }
  return numbers;
}

std::vector<std::int64_t> require_split(const Manifest& manifest, const std::string& split) {
  std::vector<std::int64_t> numbers = clips_of_split(manifest, split);
  if (!numbers.empty()) return numbers;
  std::set<std::string> splits;
  for (const Clip& clip : manifest.clips) {
    if (!clip.split.empty()) splits.insert(clip.split);
  }
  throw Error(ExitCode::data, "{}: no clip is in the split '{}': there are: {}", manifest.path.string(),
              split,
              splits.empty() ? "train (no splits are given)" : fmt::format("{}", fmt::join(splits, ", ")));
}

EmotionLabels read_emotions(const fs::path& path) {
  const CsvTable table = read_table(path, {"video", "emotion"});
  EmotionLabels labels{path, {}};
  std::map<std::string, std::int64_t> seen;
  for (const CsvRow& csv_row : table.rows) {
    const RowReader row(table, csv_row);
    VideoEmotion video{csv_row.line, row.required("video"), row.required("emotion"), row.text("subject"),
                       row.text("split")};
    const auto [twin, is_new] = seen.emplace(video.video, video.line);
    if (!is_new) row.fail("the video {} is in line {} already", video.video, twin->second);
    labels.videos.push_back(std::move(video));
  }
  if (labels.videos.empty()) throw Error(ExitCode::data, "{}: there are no videos in it", path.string());
  return labels;
}

}  // namespace mg
