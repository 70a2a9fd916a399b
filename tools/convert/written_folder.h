// A folder that appears whole or not at all: it is filled aside and renamed.
#pragma once

#include <filesystem>

namespace mg {

class WrittenFolder {
 public:
  // Error(ExitCode::usage) when the folder is there and not empty.
  explicit WrittenFolder(const std::filesystem::path& folder);
  ~WrittenFolder();  // removes what was not committed
  WrittenFolder(const WrittenFolder&) = delete;
  WrittenFolder& operator=(const WrittenFolder&) = delete;

  const std::filesystem::path& path() const { return aside_; }  // to write to
  void commit();

 private:
  std::filesystem::path folder_, aside_;
};

}  // namespace mg
