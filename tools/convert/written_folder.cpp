#include "tools/convert/written_folder.h"

#include <system_error>

#include "engine/error.h"
#include "engine/file.h"

namespace mg {

namespace fs = std::filesystem;

WrittenFolder::WrittenFolder(const fs::path& folder)
    : folder_(fs::absolute(folder).lexically_normal()), aside_(folder_.string() + ".tmp") {
  if (!folder_.has_filename()) folder_ = folder_.parent_path(), aside_ = folder_.string() + ".tmp";
  if (fs::exists(folder_) && !(fs::is_directory(folder_) && fs::is_empty(folder_))) {
    throw Error(ExitCode::usage, "{}: is there already: choose another --out, or remove it", folder.string());
  }
  fs::remove_all(aside_);
  fs::create_directories(aside_);
}

WrittenFolder::~WrittenFolder() {
  std::error_code ignored;
  fs::remove_all(aside_, ignored);
}

void WrittenFolder::commit() {
  sync_folder(aside_);
  fs::remove(folder_);  // at most an empty folder
  fs::rename(aside_, folder_);
  sync_folder(folder_.parent_path());
}

}  // namespace mg
