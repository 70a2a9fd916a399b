#include "train/kept_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "data/csv.h"
#include "engine/file.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kShown = 5;

std::string text_of(const KeptList& list) {
  std::string text = csv_line(list.columns);
  for (const KeptRow& row : list.rows) text += csv_line(row.cells);
  return text;
}

// What is kept beside what is given now, both with the columns that they share.
class Comparison {
 public:
  Comparison(const KeptList& now, const CsvTable& kept) : now_(now), kept_(kept) {
    for (std::size_t c = 0; c < now.columns.size(); ++c) {
      if (const int column = kept.column(now.columns[c]); column >= 0)
        columns_.push_back({c, static_cast<std::size_t>(column)});
      if (now.columns[c] == "source_hash") hash_ = kept.column("source_hash");
    }
    for (std::size_t i = 0; i < kept.rows.size(); ++i) by_key_.emplace(key(kept.rows[i].fields), i);
  }

  // In words; empty: none.
  std::vector<std::string> differences() const {
    std::vector<std::string> found;
    std::vector<bool> seen(kept_.rows.size());
    bool moved = now_.rows.size() != kept_.rows.size();
    for (std::size_t i = 0; i < now_.rows.size(); ++i) {
      const std::optional<std::size_t> before = find(i);
      if (before) seen[*before] = true;
      moved = moved || before != i;
      const std::string change = before ? change_of(now_.rows[i].cells, kept_.rows[*before].fields)
                                        : "it was not there when the run started";
      if (!change.empty()) {
        found.push_back(fmt::format("{}:{}: {} '{}': {}", now_.source.string(), now_.rows[i].line, now_.unit,
                                    now_.rows[i].cells.front(), change));
      }
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (!seen[i]) {
        found.push_back(fmt::format("{}: {} '{}' is there no more, or cannot be read", now_.source.string(),
                                    now_.unit, kept_.rows[i].fields[columns_.front().kept]));
      }
    }
    if (found.empty() && moved) found.push_back(now_.source.string() + ": the rows are in another order");
    return found;
  }

 private:
  struct Column {
    std::size_t now, kept;
  };

  std::vector<std::string> key(const std::vector<std::string>& fields) const {
    std::vector<std::string> cells;
    for (std::size_t c = 0; c < now_.keys; ++c) cells.push_back(fields[columns_[c].kept]);
    return cells;
  }
  // The kept row that is the i-th of now: the one at its place with the same contents, under any name, or
  // else the one of the same name.
  std::optional<std::size_t> find(std::size_t i) const {
    const std::vector<std::string>& cells = now_.rows[i].cells;
    bool same_contents = false, same_part = false;
    if (hash_ >= 0 && i < kept_.rows.size()) {
      const std::vector<std::string>& there = kept_.rows[i].fields;
      same_contents = !cells.back().empty() && there[static_cast<std::size_t>(hash_)] == cells.back();
      const std::vector<std::string> names = key(there);
      same_part = std::equal(names.begin() + 1, names.end(), cells.begin() + 1);
    }
    if (same_contents && same_part) return i;
    const auto found = by_key_.find({cells.begin(), cells.begin() + static_cast<std::ptrdiff_t>(now_.keys)});
    if (found != by_key_.end()) return found->second;
    return same_contents ? std::optional(i) : std::nullopt;
  }
  std::string change_of(const std::vector<std::string>& now, const std::vector<std::string>& kept) const {
    for (const Column& column : columns_) {
      const std::string &name = now_.columns[column.now], &before = kept[column.kept],
                        &after = now[column.now];
      if (column.now == 0 || before == after) continue;  // found by its name, or in spite of it
      if (name == "source_hash") return "its file has other contents now";
      return fmt::format("its {} was '{}' and is now '{}'", name, before, after);
    }
    return "";
  }

  const KeptList& now_;
  const CsvTable& kept_;
  std::vector<Column> columns_;
  int hash_ = -1;
  std::map<std::vector<std::string>, std::size_t> by_key_;
};

}  // namespace

KeptList clip_list(const GestureData& data) {
  KeptList list{
      data.manifest().path, "clip", 2, {"clip", "range", "label", "caption", "split", "source_hash"}, {}};
  for (const std::string split : {"train", "val"}) {
    for (const std::int64_t number : data.readable_of_split(split)) {
      const Clip& clip = data.manifest().clips[static_cast<std::size_t>(number)];
      list.rows.push_back({clip.line,
                           {clip.name, range_text(clip), clip.label, clip.caption, split,
                            data.frames().source_hash(number)}});
    }
  }
  return list;
}

KeptList emotion_list(const EmotionLabels& labels) {
  KeptList list{labels.path, "video", 1, {"video", "emotion", "split"}, {}};
  for (const VideoEmotion& video : labels.videos) {
    list.rows.push_back({video.line, {video.video, video.emotion, video.split}});
  }
  return list;
}

void keep_list(const fs::path& file, KeptList list) {
  if (!fs::exists(file)) return write_whole_file(file, text_of(list));
  const CsvTable kept = read_csv(file);
  for (std::size_t c = 0; c < list.keys; ++c) {
    if (kept.column(list.columns[c]) < 0) {
      throw Error(ExitCode::data, "{}: is damaged: expected a column {}", file.string(), list.columns[c]);
    }
  }
  // An older run's list has the clips of train alone.
  const auto split = std::find(list.columns.begin(), list.columns.end(), "split") - list.columns.begin();
  if (list.unit == "clip" && kept.column("split") < 0) {
    std::erase_if(list.rows,
                  [&](const KeptRow& row) { return row.cells[static_cast<std::size_t>(split)] != "train"; });
  }
  std::vector<std::string> found = Comparison(list, kept).differences();
  if (found.empty()) return;
  const std::size_t more = found.size() - std::min(found.size(), kShown);
  found.resize(found.size() - more);
  throw Error(
      ExitCode::data,
      "{}: the run started with other data than it is given now:\n  {}{}\ncontinue it with the data that "
      "it started with, or start another --run",
      file.string(), fmt::join(found, "\n  "), more > 0 ? fmt::format("\n  and {} more", more) : "");
}

}  // namespace mg
