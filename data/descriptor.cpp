#include "data/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;

Descriptor open_to_read(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw Error(ExitCode::data, "{}: cannot open: {}", path.string(), std::strerror(errno));
  return file;
}

void read_at(const Descriptor& file, const fs::path& path, std::uint64_t offset, std::uint8_t* to,
             std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::pread(file.get(), to, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      throw Error(ExitCode::data, "{}: cannot read: {}", path.string(),
                  n == 0 ? "it has become shorter" : std::strerror(errno));
    }
    to += n;
    offset += static_cast<std::uint64_t>(n);
    bytes -= static_cast<std::size_t>(n);
  }
}

bool is_named(const Descriptor& file, const fs::path& path) {
  struct stat held {
  }, named{};
  return ::fstat(file.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

}  // namespace mg
