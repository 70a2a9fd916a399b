// Files of labels: what `predict --labels` ranks, and the names of a network's classes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mg {

// Either one label a line (blank lines are skipped, a label in quotes is taken out of them), or a table with
// a column `label` or `name`: a first line that names it says so. A column `id` must then count from 0, as in
// the authors' Clip_label.csv; a table with a column `clip` is a manifest, whose labels come once each.
// Labels are in normal_name() form and in the order of the file. A file with fewer than two labels, labels
// that are there twice or look alike, a table without such a column, JSON, and what read_text_file does not
// take is an Error(ExitCode::data) with file and line.
std::vector<std::string> read_label_list(const std::filesystem::path& path);

}  // namespace mg
