// A file by its descriptor: opened once, read from several threads at once.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <utility>

namespace mg {

// An open file, or none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// Throws Error(ExitCode::data) with the path and the system's reason.
Descriptor open_to_read(const std::filesystem::path& path);
// All of the bytes, or an Error(ExitCode::data) with the path.
void read_at(const Descriptor& file, const std::filesystem::path& path, std::uint64_t offset,
             std::uint8_t* to, std::size_t bytes);
// The descriptor's file is still what the path names: it was not renamed or removed.
bool is_named(const Descriptor& file, const std::filesystem::path& path);

}  // namespace mg
