// Preloaded (LD_PRELOAD) into a program under test: from the k-th call on, a system call on files below a
// folder fails. MG_FAULT_CALL: write, fsync, close, rename, open or flock; MG_FAULT_AT: k, from 1;
// MG_FAULT_ERRNO: its reason; MG_FAULT_UNDER: the folder, as an absolute path without links.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

std::atomic<long> calls{0};

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool fails(const char* call, const char* path) {
  const char *wanted = std::getenv("MG_FAULT_CALL"), *under = std::getenv("MG_FAULT_UNDER"),
             *at = std::getenv("MG_FAULT_AT"), *reason = std::getenv("MG_FAULT_ERRNO");
  if (wanted == nullptr || under == nullptr || at == nullptr || reason == nullptr) return false;
  if (std::strcmp(wanted, call) != 0 || std::strncmp(path, under, std::strlen(under)) != 0) return false;
  if (++calls < std::atol(at)) return false;
  errno = std::atoi(reason);
  return true;
}

bool fails(const char* call, int descriptor) {
  char link[64], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t bytes = ::readlink(link, path, sizeof path - 1);
  if (bytes < 0) return false;
  path[bytes] = '\0';
  return fails(call, path);
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* data, size_t bytes) {
  static auto* const next = real<ssize_t(int, const void*, size_t)>("write");
  return fails("write", file) ? -1 : next(file, data, bytes);
}

int fsync(int file) {
  static auto* const next = real<int(int)>("fsync");
  return fails("fsync", file) ? -1 : next(file);
}

int close(int file) {
  static auto* const next = real<int(int)>("close");
  if (!fails("close", file)) return next(file);
  const int reason = errno;
  next(file);
  errno = reason;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  static auto* const next = real<int(const char*, const char*)>("rename");
  return fails("rename", to) ? -1 : next(from, to);
}

int flock(int file, int operation) noexcept {
  static auto* const next = real<int(int, int)>("flock");
  return fails("flock", file) ? -1 : next(file, operation);
}

int open(const char* path, int flags, ...) {
  static auto* const next = real<int(const char*, int, ...)>("open");
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return (flags & O_CREAT) != 0 && fails("open", path) ? -1 : next(path, flags, mode);
}

}  // extern "C"
