// One process at a time: a file beside what is written that is locked (flock) and says who holds it. The
// system lets go of the lock when its process ends, however it ends. Where the file system has no locks, what
// the file says must do: the holder, where it is a process of this machine that still lives.
#pragma once

#include <filesystem>
#include <string>

namespace mg {

class FileLock {
 public:
  explicit FileLock(std::filesystem::path path) : path_(std::move(path)) {}
  ~FileLock();  // lets go, and removes the file
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // True: it is held by this object now. False: another holds it. Throws Error(ExitCode::failure) with the
  // path and the system's reason when the file cannot be made.
  bool try_take();
  // Who holds what could not be taken: "process 123 on the machine lab, since 2026-11-26 10:12:33 (UTC)".
  std::string holder() const;
  // After try_take: a line to show where the file system has no locks, once a process; otherwise "".
  std::string warning() const;

 private:
  bool is_named() const;
  void write_holder() const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  int missing_ = 0;  // why there are no locks, an errno; 0: there are
};

}  // namespace mg
