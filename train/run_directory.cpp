#include "train/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "kernels/stream.h"
#include "train/import_folder.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

// Keys that may differ between a run and its continuation, because no result depends on them.
bool changes_no_result(const std::string& key) {
  return key == "threads" || key == "device" || key.starts_with("checkpoint.");
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "unknown";
}

}  // namespace

void RunDirectory::check(const fs::path& path, bool resume) {
  if (fs::exists(path) && !fs::is_directory(path)) {
    throw Error(ExitCode::usage, "{}: expected a folder for the run, this is a file", path.string());
  }
  if (!resume && fs::exists(path) && !fs::is_empty(path)) {
    throw Error(ExitCode::usage,
                "{}: the run folder is not empty: add --resume to continue it, or choose another --run",
                path.string());
  }
}

RunDirectory::RunDirectory(const fs::path& path, const Config& config, bool resume)
    : path_(path), config_(config) {
  check(path, resume);
  const fs::path stored = path / "config.toml";
  const bool started = fs::exists(stored);
  fs::create_directories(path / "results");
  lock();
  if (started) {
    Config old;
    old.load_file(stored.string());
    std::string differences;
    for (const auto& [key, line] : config_.differences(old)) {
      if (!changes_no_result(key)) differences += "\n  " + line;
    }
    if (!differences.empty()) {
      throw Error(ExitCode::config,
                  "{}: --resume needs the configuration that the run started with; it differs in:{}",
                  path.string(), differences);
    }
  }
  write_whole_file(stored, config_.to_toml());
  write_whole_file(path / "environment.json", environment_json(config_.small("threads")));
}

RunDirectory::RunDirectory(const fs::path& path) : path_(path) {
  if (!fs::exists(path / "config.toml")) {
    throw Error(ExitCode::usage,
                "{}: not a run folder (no config.toml in it): expected what `mgtrain train --run` made",
                path.string());
  }
  if (fs::exists(path / kCertificateFile) && !fs::exists(path / "ckpt")) {
    throw Error(ExitCode::usage,
                "{}: an imported model, not a run: start one from it (mgtrain train --video-weights or "
                "--text-weights)",
                path.string());
  }
  config_.load_file((path / "config.toml").string());
}

RunDirectory::~RunDirectory() {
  if (lock_file_ >= 0) ::close(lock_file_);
}

void RunDirectory::keep(const std::string& name, const std::string& text) const {
  const fs::path path = file(name);
  if (!fs::exists(path)) return write_whole_file(path, text);
  if (read_whole_file(path, ExitCode::checkpoint) == text) return;
  throw Error(
      ExitCode::data,
      "{}: the run started with other data than it is given now: continue it with the same manifest and "
      "labels, or start another --run",
      path.string());
}

void RunDirectory::lock() {
  const fs::path file = path_ / ".lock";
  lock_file_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_file_ < 0)
    throw Error(ExitCode::failure, "{}: cannot make the lock: {}", file.string(), std::strerror(errno));
  if (::flock(lock_file_, LOCK_EX | LOCK_NB) != 0) {
    throw Error(ExitCode::config, "{}: another process is writing to this run", path_.string());
  }
}

std::string environment_json(int threads, const std::string& device) {
  nlohmann::ordered_json json;
  CpuStream stream(threads);
  json["mg"] = MG_VERSION;
  json["device"] = device;
  json["processor"] = processor_name();
  json["threads"] = stream.threads();
  json["instruction_set"] = std::string(to_string(stream.isa()));
  json["compiler"] = "g++ " __VERSION__;
  return json.dump(2) + "\n";
}

}  // namespace mg
