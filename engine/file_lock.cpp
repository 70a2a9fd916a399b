#include "engine/file_lock.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>

#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "unknown";
}

// When a process started, in the system's ticks, which tells it from a later one of the same number; "" when
// there is none.
std::string start_of(long long process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = text.rfind(')');  // the name may hold blanks
  if (name_end == std::string::npos) return "";
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return field;
}

struct Holder {
  std::string machine, start, since;
  long long process = 0;  // 0: the file does not say
};

Holder holder_of(const fs::path& path) {
  std::ifstream file(path);
  Holder holder;
  std::string date, time;
  file >> holder.machine >> holder.process >> holder.start >> date >> time;
  if (!file || holder.process <= 0) return {};
  holder.since = date + " " + time;
  return holder;
}

bool lives_here(const Holder& holder) {
  return holder.process > 0 && holder.machine == machine_name() && start_of(holder.process) == holder.start;
}

std::atomic<bool> warned{false};

}  // namespace

FileLock::~FileLock() {
  if (descriptor_ < 0) return;
  if (is_named()) ::unlink(path_.c_str());
  ::close(descriptor_);
}

bool FileLock::is_named() const {
  struct stat held {
  }, named{};
  return ::fstat(descriptor_, &held) == 0 && ::stat(path_.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

// A full disk leaves the file empty; the lock holds all the same.
void FileLock::write_holder() const {
  const std::string text = fmt::format("{} {} {} {:%Y-%m-%d %H:%M:%S}\n", machine_name(), ::getpid(),
                                       start_of(::getpid()), fmt::gmtime(std::time(nullptr)));
  if (::ftruncate(descriptor_, 0) != 0) return;
  [[maybe_unused]] const auto written = ::pwrite(descriptor_, text.data(), text.size(), 0);
}

bool FileLock::try_take() {
  for (;;) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) {
      throw Error(ExitCode::failure, "{}: cannot make the lock: {}", path_.string(), std::strerror(errno));
    }
    int locked = 0;
    do locked = ::flock(descriptor_, LOCK_EX | LOCK_NB);
    while (locked != 0 && errno == EINTR);
    missing_ = locked == 0 || errno == EWOULDBLOCK ? 0 : errno;
    const bool held = missing_ != 0 ? lives_here(holder_of(path_)) : locked != 0;
    if (!held && is_named()) break;  // else the one before has let go of it and removed it
    ::close(std::exchange(descriptor_, -1));
    if (held) return false;
  }
  write_holder();
  return true;
}

std::string FileLock::holder() const {
  const Holder holder = holder_of(path_);
  if (holder.process == 0) return "another process";
  return fmt::format("process {} on the machine {}, since {} (UTC)", holder.process, holder.machine,
                     holder.since);
}

std::string FileLock::warning() const {
  if (missing_ == 0 || warned.exchange(true)) return "";
  return fmt::format(
      "{}: the file system has no locks ({}): see that no process on another machine writes here",
      fs::absolute(path_).parent_path().string(), std::strerror(missing_));
}

}  // namespace mg
