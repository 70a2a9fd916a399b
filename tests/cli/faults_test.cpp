// A disk that is full, a quota, a device that fails, a file system without locks, ctrl-C: one line, the
// documented exit code, and nothing half-written.
#include <doctest/doctest.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>

#include "cli/mgtrain_command.h"
#include "engine/file.h"
#include "engine/file_lock.h"

namespace mg::test {

namespace fs = std::filesystem;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// mgtrain with a system call that fails from the k-th on, below a folder. See tests/faults/faults.cpp.
Output faulty(const std::vector<std::string>& arguments, const std::string& call, int k, int reason,
              const fs::path& under) {
  const std::map<const char*, std::string> variables{{"LD_PRELOAD", MG_FAULTS},
                                                     {"ASAN_OPTIONS", "verify_asan_link_order=0"},
                                                     {"MG_FAULT_CALL", call},
                                                     {"MG_FAULT_AT", std::to_string(k)},
                                                     {"MG_FAULT_ERRNO", std::to_string(reason)},
                                                     {"MG_FAULT_UNDER", fs::canonical(under).string()}};
  for (const auto& [name, value] : variables) ::setenv(name, value.c_str(), 1);
  Output output = mgtrain(arguments);
  for (const auto& [name, value] : variables) ::unsetenv(name);
  return output;
}

// What the program itself says: its lines but for progress and device.
std::size_t errors(const Output& output) {
  std::istringstream lines(output.err);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) count += line.starts_with("mgtrain: ") ? 1 : 0;
  return count;
}

// A manifest of six clips of two videos, away from its cache.
struct FewClips {
  TemporaryFolder folder;
  fs::path manifest = folder / "few.csv", caches = folder / "caches";

  FewClips() {
    fs::create_directories(caches);
    const fs::path data = fs::path(synthetic_data().manifest).parent_path();
    fs::create_directory_symlink(data / "videos", folder / "videos");
    std::istringstream all(read_whole_file(synthetic_data().manifest, ExitCode::failure));
    std::string few;
    int taken = 0;
    for (std::string line; std::getline(all, line);) {
      const bool wanted =
          taken == 0 || (has(line, "s001_1") && taken < 4) || (has(line, "s002_1") && taken < 7);
      if (!wanted) continue;
      few += line + "\n";
      ++taken;
    }
    write_whole_file(manifest, few);
  }
  std::vector<std::string> cache() const {
    return {"cache", "--preset", "nano", "--manifest", manifest, "--cache", caches / "c.h5"};
  }
  bool nothing_left() const { return fs::is_empty(caches); }
};

}  // namespace

TEST_CASE("a disk that fails at any moment of making the cache is one line, and leaves nothing") {
  const FewClips few;
  struct Fault {
    const char* call;
    int reason;
  };
  for (const auto& [call, reason] : {Fault{"write", ENOSPC},
                                     {"write", EDQUOT},
                                     {"fsync", EIO},
                                     {"close", EIO},
                                     {"rename", EROFS},
                                     {"open", EROFS}}) {
    CAPTURE(call);
    int k = 1;
    for (; k < 60; ++k) {
      CAPTURE(k);
      const Output output = faulty(few.cache(), call, k, reason, few.caches);
      INFO(output.err);
      if (output.code == 0) break;
      // What fails after the renaming, the syncing of the folder, finds a complete cache there.
      CHECK(output.code == 1);
      CHECK(errors(output) == 1);
      CHECK(has(output.err, std::strerror(reason)));
      if (fs::exists(few.caches / "c.h5")) {
        CHECK(call == "fsync");
        fs::remove(few.caches / "c.h5");
      }
      CHECK(few.nothing_left());
    }
    CHECK(k > 1);
    CHECK(k < 60);
    MESSAGE(call << ": failed at each of " << k - 1 << " calls");
    fs::remove(few.caches / "c.h5");
    CHECK(few.nothing_left());
  }
}

TEST_CASE("a file above the limit on sizes is an error, not a signal") {
  const FewClips few;
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const rlimit small{100000, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Output output = mgtrain(few.cache());
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  INFO(output.err);
  CHECK(output.code == 1);
  CHECK(has(output.err, "File too large"));
  CHECK(few.nothing_left());
}

TEST_CASE("a disk that is full while a run is saved leaves the checkpoint before") {
  const TemporaryFolder folder;
  const auto train = [&](const std::string& run) {
    return std::vector<std::string>{
        "train",       "--preset",          "nano",       "--stage",
        "contrastive", "--resume",          "--manifest", synthetic_data().manifest,
        "--run",       folder / run,        "--set",      "contrastive.epochs=2",
        "--set",       "checkpoint.every=4"};
  };
  REQUIRE(mgtrain(train("whole")).code == 0);
  const std::string whole = final_weights(folder / "whole");
  fs::create_directories(folder / "run");
  struct Fault {
    std::string call;
    int reason, k;
  };
  // One run that is cut again and again; each time it goes on from what the last one saved.
  for (const auto& [call, reason, k] : {Fault{"write", ENOSPC, 40},
                                        {"write", ENOSPC, 300},
                                        {"fsync", EIO, 9},
                                        {"close", EIO, 25},
                                        {"write", EDQUOT, 400},
                                        {"rename", ENOSPC, 12}}) {
    CAPTURE(call);
    CAPTURE(k);
    const Output output = faulty(train("run"), call, k, reason, folder / "run");
    INFO(output.err);
    CHECK(output.code == 1);
    CHECK(errors(output) == 1);
    CHECK(has(output.err, std::strerror(reason)));
  }
  const Output ended = mgtrain(train("run"));
  CHECK_MESSAGE(ended.code == 0, ended.err);
  CHECK_FALSE(has(ended.err, "passing over"));
  CHECK(final_weights(folder / "run") == whole);
}

TEST_CASE("a file system without locks is said once, and the work goes on") {
  const TemporaryFolder folder;
  int number = 0;
  for (const int reason : {ENOSYS, ENOLCK, EOPNOTSUPP, EINVAL}) {
    CAPTURE(reason);
    const fs::path run = folder / std::to_string(++number);
    const std::vector<std::string> train{"train",
                                         "--preset",
                                         "nano",
                                         "--stage",
                                         "contrastive",
                                         "--manifest",
                                         synthetic_data().manifest,
                                         "--cache",
                                         folder / (std::to_string(number) + ".h5"),
                                         "--run",
                                         run,
                                         "--set",
                                         "contrastive.epochs=1"};
    const Output output = faulty(train, "flock", 1, reason, folder.path);
    CHECK_MESSAGE(output.code == 0, output.err);
    const auto said = output.err.find("the file system has no locks (" + std::string(std::strerror(reason)));
    CHECK_MESSAGE(said != std::string::npos, output.err);
    CHECK(output.err.find("no locks", said + 30) == std::string::npos);
    CHECK_FALSE(has(output.err, "another process"));
    // Without locks too, a process of this machine that still lives is seen.
    std::vector<std::string> resume = train;
    resume.push_back("--resume");
    FileLock lock(run / ".lock");
    REQUIRE(lock.try_take());
    const Output second = faulty(resume, "flock", 1, reason, folder.path);
    CHECK(second.code == 3);
    CHECK(has(second.err, fmt::format("another process is writing to this run: process {} on", ::getpid())));
  }
}

TEST_CASE("ctrl-C while decoding keeps what is decoded") {
  const TemporaryFolder folder;
  for (const int signal : {SIGINT, SIGTERM}) {
    for (const char* command : {"cache", "train"}) {
      CAPTURE(command);
      const fs::path cache = folder / fmt::format("{}{}.h5", command, signal);
      std::vector<std::string> arguments{command,
                                         "--preset",
                                         "sane",
                                         "--set",
                                         "cache.height=720",
                                         "--set",
                                         "cache.width=900",
                                         "--manifest",
                                         synthetic_data().manifest,
                                         "--cache",
                                         cache};
      if (command == std::string("train")) arguments.insert(arguments.end(), {"--run", folder / "run"});
      const fs::path aside = cache.string() + ".tmp";
      std::error_code ignored;
      const auto begun = [&] {
        const auto bytes = fs::file_size(aside, ignored);
        return !ignored && bytes > 20'000'000;
      };
      const Output output = mgtrain_signalled(arguments, begun, signal);
      INFO(output.err);
      CHECK(output.code == 128 + signal);
      CHECK(has(output.err, "mgtrain: stopped while decoding: "));
      CHECK(has(output.err, " of 96 clips are kept in " + cache.string()));
      CHECK(fs::exists(cache));
      CHECK_FALSE(fs::exists(aside));
      CHECK_FALSE(fs::exists(folder / "run"));
    }
  }
}

}  // namespace mg::test
