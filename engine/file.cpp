#include "engine/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace mg {

namespace fs = std::filesystem;

FileWriter::FileWriter(fs::path path) : path_(std::move(path)), aside_(path_.string() + ".tmp") {
  descriptor_ = ::open(aside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail("open");
}

FileWriter::~FileWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!committed_) ::unlink(aside_.c_str());
}

void FileWriter::fail(const char* action) {
  throw Error(ExitCode::failure, "{}: cannot {}: {}", aside_.string(), action, std::strerror(errno));
}

void FileWriter::write(const void* data, std::size_t bytes) {
  const char* p = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, p, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    p += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void FileWriter::write_at(std::uint64_t offset, std::string_view text) {
  if (::lseek(descriptor_, static_cast<off_t>(offset), SEEK_SET) < 0) fail("seek");
  write(text);
  if (::lseek(descriptor_, 0, SEEK_END) < 0) fail("seek");
}

void FileWriter::commit() {
  if (::fsync(descriptor_) != 0) fail("sync");
  // Network file systems tell of a failed write as late as here.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("close");
  if (::rename(aside_.c_str(), path_.c_str()) != 0) fail("rename");
  committed_ = true;
  sync_folder(path_.has_parent_path() ? path_.parent_path() : ".");
}

void write_whole_file(const fs::path& path, std::string_view text) {
  FileWriter file(path);
  file.write(text);
  file.commit();
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && (::fsync(descriptor) == 0 || errno == EINVAL);
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced) throw Error(ExitCode::failure, "{}: cannot sync: {}", folder.string(), std::strerror(reason));
}

std::string read_whole_file(const fs::path& path, ExitCode code) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file && !fs::is_directory(path)) {
    text.assign(std::istreambuf_iterator<char>(file), {});
    if (!file.bad()) return text;
  }
  throw Error(code, "{}: cannot read: {}", path.string(),
              fs::is_directory(path) ? "it is a folder" : std::strerror(errno));
}

}  // namespace mg
