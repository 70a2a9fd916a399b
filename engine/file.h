// Whole files: read at once, or written aside, synced and renamed, so that under its name a file is either
// the old one or complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "engine/error.h"

namespace mg {

// Writes path + ".tmp" and renames it on commit. Without commit the file is removed again. Every function
// throws Error(ExitCode::failure) with the path and the system's reason.
class FileWriter {
 public:
  explicit FileWriter(std::filesystem::path path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Over what was written already.
  void write_at(std::uint64_t offset, std::string_view text);
  // Syncs the file, renames it, and syncs its folder.
  void commit();

 private:
  [[noreturn]] void fail(const char* action);

  std::filesystem::path path_, aside_;
  int descriptor_ = -1;
  bool committed_ = false;
};

// The whole of text, as above.
void write_whole_file(const std::filesystem::path& path, std::string_view text);

// A folder's entries reach the disk: needed after a rename or a removal that must last.
void sync_folder(const std::filesystem::path& folder);

// Throws Error(code) with the path and the system's reason.
std::string read_whole_file(const std::filesystem::path& path, ExitCode code);

}  // namespace mg
