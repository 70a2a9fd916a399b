// The lists that decide what a run learns, kept in its folder: a run is not continued on other data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest.h"
#include "train/gesture_data.h"

namespace mg {

struct KeptRow {
  std::int64_t line = 0;           // of the file that it comes from
  std::vector<std::string> cells;  // one a column
};

struct KeptList {
  std::filesystem::path source;      // the file that the rows come from
  std::string unit;                  // what a row is
  std::size_t keys = 1;              // the first columns, which tell rows apart
  std::vector<std::string> columns;  // the last may be "source_hash": equal contents are equal under any name
  std::vector<KeptRow> rows;
};

// The clips of train and val, the latter because they decide which model is kept and when training ends:
// clip,range,label,caption,split,source_hash.
KeptList clip_list(const GestureData& data);
// The recordings with their emotions: video,emotion,split.
KeptList emotion_list(const EmotionLabels& labels);

// Writes list to file as CSV. One that is there must hold the same rows in the same order, as far as its
// columns go: otherwise Error(ExitCode::data) that names the rows that differ, their lines, and how.
void keep_list(const std::filesystem::path& file, KeptList list);

}  // namespace mg
