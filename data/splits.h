// The splits that a list's column `split` names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mg {

// Reads the names of one list. Every split must be spelled one way in it: two spellings of one split ("Train"
// and "train", "dev" and "val"), names that look alike, and a name that is a letter off a standard one are an
// Error(ExitCode::data) with the lines.
class SplitNames {
 public:
  explicit SplitNames(const std::filesystem::path& path) : path_(path.string()) {}

  // The split that a name of a line means, as standard_split(); "" for "".
  std::string read(const std::string& name, std::int64_t line);
  // What a reader should know: splits that are read under another name, and those that nothing reads by
  // itself.
  void add_notes(std::vector<std::string>& notes) const;

 private:
  struct Spelling {
    std::string name;
    std::int64_t line = 0, rows = 0;
  };

  std::string path_;
  std::map<std::string, Spelling> spellings_;  // by the split
};

}  // namespace mg
