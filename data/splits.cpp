#include "data/splits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/manifest.h"
#include "engine/error.h"
#include "engine/names.h"
#include "engine/nearest_name.h"

namespace mg {

namespace {

const std::vector<std::string> kStandard{"train", "val", "test"};

bool is_standard(const std::string& name) {
  return std::find(kStandard.begin(), kStandard.end(), name) != kStandard.end();
}

// Whether two letters next to each other are all that is exchanged.
bool is_exchange(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin());
  if (a.end() - x < 2) return false;
  return x[0] == y[1] && x[1] == y[0] && std::equal(x + 2, a.end(), y + 2);
}

// The standard split that a name is a slip of the hand away from; "" for other names, like "rest" and
// "test2".
std::string meant_by(const std::string& split) {
  const std::string name = appearance(split);
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_letter)) return "";
  for (const std::string& standard : kStandard) {
    if (name.front() == standard.front() &&
        (edit_distance(name, standard) == 1 || is_exchange(name, standard)))
      return standard;
  }
  return "";
}

}  // namespace

std::string standard_split(const std::string& name) {
  static const std::map<std::string, std::string> standard{
      {"train", "train"},    {"training", "train"},  {"val", "val"},
      {"validation", "val"}, {"valid", "val"},       {"dev", "val"},
      {"test", "test"},      {"development", "val"}, {"testing", "test"}};
  const auto found = standard.find(appearance(name));
  return found == standard.end() ? normal_name(name) : found->second;
}

std::string SplitNames::read(const std::string& name, std::int64_t line) {
  std::string split = standard_split(name);
  const std::string key = is_standard(split) ? split : appearance(split);
  Spelling& spelling = spellings_.try_emplace(key, Spelling{name, line, 0}).first->second;
  ++spelling.rows;
  if (spelling.name != name) {
    throw Error(ExitCode::data, "{}:{}: the split '{}' is '{}' in line {}: write it in one way only", path_,
                line, name, spelling.name, spelling.line);
  }
  if (const std::string meant = split.empty() ? "" : meant_by(split); !meant.empty() && !is_standard(split)) {
    throw Error(ExitCode::data,
                "{}:{}: the split '{}' looks like a misspelled '{}': name it so, or quite differently", path_,
                line, name, meant);
  }
  return split;
}

void SplitNames::add_notes(std::vector<std::string>& notes) const {
  for (const auto& [split, spelling] : spellings_) {
    if (split.empty() && spellings_.size() > 1) {
      notes.push_back(fmt::format("{}:{}: {} rows have no split, while others have one: they are in none",
                                  path_, spelling.line, spelling.rows));
    } else if (is_standard(split) && spelling.name != split) {
      notes.push_back(
          fmt::format("{}:{}: the split '{}' is read as '{}'", path_, spelling.line, spelling.name, split));
    } else if (!split.empty() && !is_standard(split)) {
      notes.push_back(fmt::format(
          "{}:{}: the split '{}' ({} rows) is none of train, val and test: training leaves it out", path_,
          spelling.line, spelling.name, spelling.rows));
    }
  }
}

}  // namespace mg
