// A run's folder: config.toml, environment.json, clips.csv, classes.json, vocab.txt, emotions.json,
// problems.json, metrics.jsonl, ckpt/<stage>/step_N, results/*.json, report.html. One process writes to it at
// a time. It may be moved: places in its config.toml are relative to it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/file_lock.h"
#include "train/config.h"

namespace mg {

class EncoderWeights;

class RunDirectory {
 public:
  // The errors below, before any work.
  static void check(const std::filesystem::path& path, bool resume);
  // Makes the folder for a new run. A folder that holds anything is an Error(ExitCode::usage) unless resume
  // is set; resuming a folder that has no configuration yet starts afresh. With resume, config must equal the
  // stored one but for keys that change no result (threads, checkpoint.*): the difference is an
  // Error(ExitCode::config) that lists it. So is a run that another process writes to. Where the weights lie
  // that it starts from may differ as well: keep_weights() looks at what they are.
  RunDirectory(const std::filesystem::path& path, const Config& config, bool resume);
  // Opens a finished or running run for reading.
  explicit RunDirectory(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const Config& config() const { return config_; }
  std::filesystem::path checkpoints(const std::string& stage) const { return path_ / "ckpt" / stage; }
  std::filesystem::path results() const { return path_ / "results"; }
  // Writes a file of the run that must not change while it goes on: one that is there with another text is an
  // Error(ExitCode::data).
  void keep(const std::string& name, const std::string& text) const;
  // The same for the certificate of weights that an encoder starts from: others are an
  // Error(ExitCode::checkpoint).
  void keep_weights(const std::string& name, const EncoderWeights& weights) const;
  std::filesystem::path file(const std::string& name) const { return path_ / name; }
  // Writes environment.json: when the run was started (a continued run keeps that; SOURCE_DATE_EPOCH sets
  // it), and what it runs on now: version, device, processor, threads, instruction set, compiler.
  void record_environment(const std::string& device) const;

 private:
  std::filesystem::path path_;
  Config config_;
  std::unique_ptr<FileLock> lock_;  // null: for reading
};

}  // namespace mg
