#include "data/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "data/clip_path.h"
#include "data/csv.h"
#include "data/csv_number.h"
#include "data/splits.h"
#include "engine/error.h"
#include "engine/names.h"
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
  // As it is written; "" where there is no such column.
  const std::string& raw(const char* column) const {
    static const std::string none;
    const int i = table_.column(column);
    return i < 0 ? none : row_.fields[static_cast<std::size_t>(i)];
  }
  std::string optional(const char* column) const {
    return is_missing(raw(column)) ? "" : normal_name(raw(column));
  }
  std::string required(const char* column) const {
    std::string value = normal_name(raw(column));
    if (value.empty()) fail("{} is empty", column);
    return value;
  }
  // A name, even one that elsewhere means that there is nothing, like None; but no fault of a spreadsheet.
  std::string category(const char* column) const {
    static const std::set<std::string> faults{"#REF!",  "#NAME?", "#VALUE!", "#DIV/0!",
                                              "#NULL!", "#NUM!",  "#N/A"};
    std::string value = required(column);
    if (faults.contains(value)) fail("{}: expected a name, got the spreadsheet's fault '{}'", column, value);
    return value;
  }
  std::int64_t frame(const char* column) const {
    return value_of(column, read_frame_number(raw(column), table_.separator));
  }
  double seconds(const char* column) const {
    return value_of(column, read_seconds(raw(column), table_.separator));
  }
  // Both columns are filled; false when neither is.
  bool has_pair(const char* first, const char* second) const {
    const bool a = !is_missing(raw(first)), b = !is_missing(raw(second));
    if (a != b) fail("{} is given without {}", a ? first : second, a ? second : first);
    return a;
  }

 private:
  template <class Number>
  Number value_of(const char* column, const ReadNumber<Number>& number) const {
    if (!number.fault.empty()) fail("{}: {}", column, number.fault);
    return number.value;
  }

  const CsvTable& table_;
  const CsvRow& row_;
};

// Columns whose names come close to those that are optional: their values would be missed without a word.
void note_misspelled_columns(const CsvTable& table, const std::vector<std::string>& optional,
                             std::vector<std::string>& notes) {
  for (const std::string& name : optional) {
    if (table.column(name) >= 0) continue;
    for (const std::string& other : table.header) {
      const bool is_known = std::find(optional.begin(), optional.end(), other) != optional.end();
      if (is_known || edit_distance(name, other) > (name.size() < 8 ? 1U : 2U)) continue;
      notes.push_back(fmt::format("{}: the column '{}' is ignored: is it meant to be '{}'?",
                                  table.path.string(), other, name));
    }
  }
}

// Labels that look like what pandas writes for nothing.
void note_missing_words(const fs::path& path, const char* what, const std::string& name, std::int64_t line,
                        std::set<std::string>& noted, std::vector<std::string>& notes) {
  if (!is_missing(name) || !noted.insert(name).second) return;
  notes.push_back(fmt::format("{}:{}: '{}' is taken as the name of {}, not as a missing value", path.string(),
                              line, name, what));
}

void read_range(const RowReader& row, Clip& clip) {
  const bool by_frame = row.has_pair("start_frame", "end_frame"), by_time = row.has_pair("start", "end");
  if (by_frame && by_time) row.fail("both start_frame,end_frame and start,end are given: expected one");
  if (by_frame) {
    const FrameRange range{row.frame("start_frame"), row.frame("end_frame")};
    if (range.first < 0) row.fail("start_frame {} is below 0", range.first);
    if (range.last < range.first) row.fail("end_frame {} is before start_frame {}", range.last, range.first);
    clip.frames = range;
  }
  if (by_time) {
    const TimeRange range{row.seconds("start"), row.seconds("end")};
    if (range.start < 0) row.fail("start {} is below 0", range.start);
    if (range.end <= range.start) row.fail("end {} is not after start {}", range.end, range.start);
    clip.time = range;
  }
}

Clip read_clip(const RowReader& row, std::int64_t line, const fs::path& folder, Labels labels) {
  Clip clip;
  clip.line = line;
  clip.name = row.required("clip");
  clip.path = find_clip(folder, row.raw("clip"));
  read_range(row, clip);
  if (labels == Labels::needed || !row.raw("label").empty()) clip.label = row.category("label");
  clip.caption = row.optional("caption");
  if (clip.caption.empty()) clip.caption = clip.label;
  clip.subject = row.optional("subject");
  clip.split = row.optional("split");
  clip.video = row.optional("video");
  if (clip.video.empty()) clip.video = clip.name;
  return clip;
}

}  // namespace

std::string range_text(const Clip& clip) {
  if (clip.frames) return fmt::format("frames {}-{}", clip.frames->first, clip.frames->last);
  if (clip.time) return fmt::format("seconds {}-{}", clip.time->start, clip.time->end);
  return "all";
}

Manifest read_manifest(const fs::path& path, Labels need) {
  const CsvTable table =
      need == Labels::needed ? read_csv(path, {"clip", "label"}) : read_csv(path, {"clip"});
  Manifest manifest{path, {}, table.column("video") >= 0, table.notes};
  note_misspelled_columns(
      table, {"start_frame", "end_frame", "start", "end", "caption", "subject", "split", "video"},
      manifest.notes);
  std::map<std::pair<std::string, std::string>, std::int64_t> seen;  // file and range -> line
  DistinctNames labels, subjects;
  std::set<std::string> noted;
  SplitNames splits(path);
  for (const CsvRow& csv_row : table.rows) {
    const RowReader row(table, csv_row);
    Clip clip = read_clip(row, csv_row.line, path.parent_path(), need);
    const auto [twin, is_new] = seen.emplace(std::pair(clip.path.string(), range_text(clip)), clip.line);
    if (!is_new)
      row.fail("the clip {} ({}) is in line {} already", clip.name, range_text(clip), twin->second);
    if (!clip.label.empty()) {
      labels.require(clip.label, clip.line, "label", path.string(), ExitCode::data);
      note_missing_words(path, "a label", clip.label, clip.line, noted, manifest.notes);
    }
    if (const auto other = subjects.add(clip.subject, clip.line)) {
      manifest.notes.push_back(fmt::format("{}:{}: the subject '{}' differs from '{}' in line {} {}",
                                           path.string(), clip.line, clip.subject, other->name, other->line,
                                           how_they_differ(clip.subject, other->name)));
    }
    clip.split = splits.read(clip.split, clip.line);
    manifest.clips.push_back(std::move(clip));
  }
  if (manifest.clips.empty()) throw Error(ExitCode::data, "{}: there are no clips in it", path.string());
  splits.add_notes(manifest.notes);
  return manifest;
}

std::vector<std::int64_t> clips_of_split(const Manifest& manifest, const std::string& name) {
  const std::string split = standard_split(name);
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
  const CsvTable table = read_csv(path, {"video", "emotion"});
  EmotionLabels labels{path, {}, table.notes};
  note_misspelled_columns(table, {"subject", "split"}, labels.notes);
  std::map<std::string, std::int64_t> seen;
  DistinctNames emotions;
  std::set<std::string> noted;
  SplitNames splits(path);
  for (const CsvRow& csv_row : table.rows) {
    const RowReader row(table, csv_row);
    VideoEmotion video{csv_row.line, row.required("video"), row.category("emotion"), row.optional("subject"),
                       splits.read(row.optional("split"), csv_row.line)};
    const auto [twin, is_new] = seen.emplace(video.video, video.line);
    if (!is_new) row.fail("the video {} is in line {} already", video.video, twin->second);
    emotions.require(video.emotion, video.line, "emotion", path.string(), ExitCode::data);
    note_missing_words(path, "an emotion", video.emotion, video.line, noted, labels.notes);
    labels.videos.push_back(std::move(video));
  }
  if (labels.videos.empty()) throw Error(ExitCode::data, "{}: there are no videos in it", path.string());
  splits.add_notes(labels.notes);
  return labels;
}

}  // namespace mg
