#include "train/run_directory.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/file.h"
#include "kernels/stream.h"
#include "train/encoder_weights.h"
#include "train/import_folder.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

// Where the things are that a run starts from.
constexpr std::array kPlaces{"video.weights", "text.weights", "text.vocabulary"};

// Keys that may differ between a run and its continuation, because no result depends on them: a place does
// not count, but whether there is one.
bool may_differ(const std::string& key, const Config& one, const Config& other) {
  if (std::find(kPlaces.begin(), kPlaces.end(), key) != kPlaces.end())
    return !one.text(key).empty() && !other.text(key).empty();
  return key == "threads" || key == "device" || key.starts_with("checkpoint.");
}

// A run's config.toml names places relative to the run, so that all of it can be moved.
void write_config(const fs::path& run, Config config) {
  for (const std::string key : kPlaces) {
    if (const fs::path place = config.text(key); !place.empty())
      config.set(key + "=" + fs::proximate(fs::absolute(place), fs::absolute(run)).string());
  }
  write_whole_file(run / "config.toml", config.to_toml());
}

Config read_config(const fs::path& run) {
  Config config;
  config.load_file(run / "config.toml");
  for (const std::string key : kPlaces) {
    if (const fs::path place = config.text(key); !place.empty())
      config.set(key + "=" + fs::weakly_canonical(fs::canonical(run) / place).string());
  }
  return config;
}

void take(FileLock& lock, const fs::path& run) {
  if (!lock.try_take()) {
    throw Error(ExitCode::config, "{}: another process is writing to this run: {}", run.string(),
                lock.holder());
  }
  if (const std::string warning = lock.warning(); !warning.empty())
    std::fprintf(stderr, "%s\n", warning.c_str());
}

fs::path lock_file(const fs::path& run) { return run / ".lock"; }

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

// "2026-03-01 14:05 UTC"
std::string now_text() {
  std::time_t now = std::time(nullptr);
  if (const char* fixed = std::getenv("SOURCE_DATE_EPOCH")) now = std::strtoll(fixed, nullptr, 10);
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(now));
}

// What an environment.json that is there says; nothing where it says none or is damaged.
std::optional<std::string> started(const fs::path& path) {
  if (!fs::exists(path)) return {};
  const auto json = nlohmann::json::parse(read_whole_file(path, ExitCode::failure), nullptr, false);
  if (!json.is_object() || !json.contains("started") || !json["started"].is_string()) return {};
  return json["started"].get<std::string>();
}

}  // namespace

void RunDirectory::check(const fs::path& path, bool resume) {
  if (fs::exists(path) && !fs::is_directory(path)) {
    throw Error(ExitCode::usage, "{}: expected a folder for the run, this is a file", path.string());
  }
  if (fs::exists(lock_file(path))) {
    FileLock lock(lock_file(path));
    take(lock, path);
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
  const bool started = fs::exists(path / "config.toml");
  fs::create_directories(path / "results");
  lock_ = std::make_unique<FileLock>(lock_file(path));
  take(*lock_, path);
  if (started) {
    const Config old = read_config(path);
    std::string differences;
    for (const auto& [key, line] : config_.differences(old)) {
      if (!may_differ(key, config_, old)) differences += "\n  " + line;
    }
    if (!differences.empty()) {
      throw Error(ExitCode::config,
                  "{}: --resume needs the configuration that the run started with; it differs in:{}",
                  path.string(), differences);
    }
  }
  write_config(path, config_);
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
  config_ = read_config(path);
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

void RunDirectory::keep_weights(const std::string& name, const EncoderWeights& weights) const {
  const fs::path path = file(name);
  const nlohmann::json& now = weights.certificate();
  if (!fs::exists(path)) return write_whole_file(path, now.dump(2) + "\n");
  const auto kept =
      nlohmann::json::parse(read_whole_file(path, ExitCode::checkpoint), nullptr, /*allow_exceptions=*/false);
  const auto same = [&](const char* key) { return kept.contains(key) && kept[key] == now.at(key); };
  if (kept.is_object() && same("kind") && same("files")) return;
  throw Error(
      ExitCode::checkpoint,
      "{}: these are not the weights that the run started from ({}): continue it with those, or start "
      "another --run",
      weights.path().string(), path.string());
}

void RunDirectory::record_environment(const std::string& device) const {
  const fs::path path = file("environment.json");
  nlohmann::ordered_json json;
  const CpuStream stream(config_.small("threads"));
  json["started"] = started(path).value_or(now_text());
  json["mg"] = MG_VERSION;
  json["device"] = device;
  json["processor"] = processor_name();
  json["threads"] = stream.threads();
  json["instruction_set"] = std::string(to_string(stream.isa()));
  json["compiler"] = "g++ " __VERSION__;
  write_whole_file(path, json.dump(2) + "\n");
}

}  // namespace mg
