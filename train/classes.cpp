#include "train/classes.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "engine/names.h"

namespace mg {

using nlohmann::json;

std::vector<GestureClass> gesture_classes(const std::vector<Clip>& clips) {
  std::map<std::string, std::string> captions;
  for (const Clip& clip : clips) captions.emplace(clip.label, clip.caption);
  std::vector<GestureClass> classes;
  classes.reserve(captions.size());
  for (const auto& [label, caption] : captions) classes.push_back({label, caption});
  return classes;
}

std::vector<std::string> labels_of(const std::vector<GestureClass>& classes) {
  std::vector<std::string> labels;
  labels.reserve(classes.size());
  for (const GestureClass& c : classes) labels.push_back(c.label);
  return labels;
}

std::vector<std::string> captions_of(const std::vector<GestureClass>& classes) {
  std::vector<std::string> captions;
  captions.reserve(classes.size());
  for (const GestureClass& c : classes) captions.push_back(c.caption);
  return captions;
}

std::vector<std::int32_t> class_numbers(const Manifest& manifest, const std::vector<GestureClass>& classes) {
  std::map<std::string, std::int32_t> number_of;
  for (const GestureClass& c : classes) {
    number_of.emplace(c.label, static_cast<std::int32_t>(number_of.size()));
  }
  std::vector<std::int32_t> numbers;
  for (const Clip& clip : manifest.clips) {
    const auto found = number_of.find(clip.label);
    numbers.push_back(found == number_of.end() ? -1 : found->second);
  }
  return numbers;
}

void require_known_labels(const Manifest& manifest, const std::vector<std::int64_t>& clips,
                          const std::vector<GestureClass>& classes, const std::string& whose,
                          const std::string& advice) {
  const std::vector<std::int32_t> numbers = class_numbers(manifest, classes);
  for (const std::int64_t number : clips) {
    const Clip& clip = manifest.clips[static_cast<std::size_t>(number)];
    if (numbers[static_cast<std::size_t>(number)] >= 0) continue;
    throw Error(ExitCode::data, "{}:{}: label '{}' is none of the {} that {}; the nearest is {}{}",
                manifest.path.string(), clip.line, clip.label, classes.size(), whose,
                nearest_described(clip.label, labels_of(classes)), advice);
  }
}

std::vector<std::int32_t> select(const std::vector<std::int32_t>& labels,
                                 const std::vector<std::int64_t>& clips) {
  std::vector<std::int32_t> selected(clips.size());
  std::transform(clips.begin(), clips.end(), selected.begin(),
                 [&](std::int64_t clip) { return labels[static_cast<std::size_t>(clip)]; });
  return selected;
}

namespace {

template <class Read>
auto read_json(const std::filesystem::path& file, Read read) {
  const std::string text = read_whole_file(file, ExitCode::checkpoint);
  try {
    return read(json::parse(text));
  } catch (const json::exception& e) {
    throw Error(ExitCode::checkpoint, "{}: damaged: {}", file.string(), e.what());
  }
}

}  // namespace

std::string classes_text(const std::vector<GestureClass>& classes) {
  json list = json::array();
  for (const GestureClass& c : classes) list.push_back({{"label", c.label}, {"caption", c.caption}});
  return list.dump(2) + "\n";
}

std::vector<GestureClass> read_classes(const std::filesystem::path& file) {
  return read_json(file, [](const json& list) {
    std::vector<GestureClass> classes;
    for (const json& c : list) {
      classes.push_back(
          {normal_name(c.at("label").get<std::string>()), normal_name(c.at("caption").get<std::string>())});
    }
    return classes;
  });
}

std::string names_text(const std::vector<std::string>& names) { return json(names).dump(2) + "\n"; }

std::vector<std::string> read_names(const std::filesystem::path& file) {
  return read_json(file, [](const json& list) {
    auto names = list.get<std::vector<std::string>>();
    std::transform(names.begin(), names.end(), names.begin(), normal_name);
    return names;
  });
}

}  // namespace mg
