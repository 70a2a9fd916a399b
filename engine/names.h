// Names that people write and programs compare: labels, emotions, splits, subjects, recordings.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace mg {

// Without white space (no-break spaces too) and invisible characters (zero-width, byte order marks) at the
// ends.
std::string trimmed(std::string_view text);

// The form in which names are compared and kept: composed (Unicode's NFC), trimmed, and every run of white
// space inside as one space.
std::string normal_name(std::string_view text);

// Unicode's composed and decomposed forms.
std::string composed(std::string_view text);
std::string decomposed(std::string_view text);

// Equal for names that a person can hardly tell apart: those that differ in case, invisible characters,
// width, kinds of dashes and quotes, or letters of other scripts that look like Latin ones, and in hyphens
// and underscores where others have a space.
std::string appearance(std::string_view name);

// In what two different names of one appearance differ, as the end of a sentence: "only in case".
std::string how_they_differ(const std::string& a, const std::string& b);

// The candidate that looks like name, with the difference, or else the nearest by letters: "'nod', which
// differs only in case". The candidates are not empty.
std::string nearest_described(const std::string& name, const std::vector<std::string>& candidates);

// Names of one file, of which no two different ones may look alike.
class DistinctNames {
 public:
  struct Twin {
    std::string name;
    std::int64_t line;
  };
  // The first other name added before that looks like this one, if any.
  std::optional<Twin> add(const std::string& name, std::int64_t line);
  // The same as an Error(code) that names both with their lines. what: "label", "emotion", ...
  void require(const std::string& name, std::int64_t line, const char* what, const std::string& file,
               ExitCode code);

 private:
  std::map<std::string, Twin> first_;  // by appearance
};

}  // namespace mg
