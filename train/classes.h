// The classes that a run knows, in the order of its outputs: gestures with the text that stands for each, and
// emotions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace mg {

struct GestureClass {
  std::string label, caption;
};

// The labels of the clips, sorted, each with its first caption.
std::vector<GestureClass> gesture_classes(const std::vector<Clip>& clips);
std::vector<std::string> labels_of(const std::vector<GestureClass>& classes);
std::vector<std::string> captions_of(const std::vector<GestureClass>& classes);

// The class of every clip of the manifest; -1 for a label that is none of them.
std::vector<std::int32_t> class_numbers(const Manifest& manifest, const std::vector<GestureClass>& classes);
// Error(ExitCode::data) for a label of these clips that is none of the classes, with the manifest's line, the
// nearest label, whose classes they are ("the model knows"), and the advice (may be empty).
void require_known_labels(const Manifest& manifest, const std::vector<std::int64_t>& clips,
                          const std::vector<GestureClass>& classes, const std::string& whose,
                          const std::string& advice);

// The labels of some clips, by number.
std::vector<std::int32_t> select(const std::vector<std::int32_t>& labels,
                                 const std::vector<std::int64_t>& clips);

// classes.json; names are read in normal_name() form. What cannot be read is an Error(ExitCode::checkpoint).
std::string classes_text(const std::vector<GestureClass>& classes);
std::vector<GestureClass> read_classes(const std::filesystem::path& file);
// emotions.json
std::string names_text(const std::vector<std::string>& names);
std::vector<std::string> read_names(const std::filesystem::path& file);

}  // namespace mg
