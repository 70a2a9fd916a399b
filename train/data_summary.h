// What training understood of its data, as text of at most 80 columns for people, before it starts.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/frame_cache.h"
#include "data/manifest.h"

namespace mg {

// A table of clips, classes, people and recordings by split; below it what is left out and why, labels that
// training lacks or has few clips of, and people and recordings that are in training and in a test as well.
std::string data_summary(const Manifest& manifest, const std::vector<BadClip>& bad);

// The table's numbers, for the run's data.json: {SPLIT: {"clips", "classes", "people", "recordings"}, ...}.
nlohmann::ordered_json data_counts(const Manifest& manifest, const std::vector<BadClip>& bad);

// Lines of "  name      value" from pairs, long values on lines of their own.
std::string key_lines(const std::vector<std::pair<std::string, std::string>>& lines);

// A command line that a POSIX shell takes as these words.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace mg
