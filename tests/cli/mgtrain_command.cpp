#include "cli/mgtrain_command.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <thread>

#include "engine/file.h"

namespace mg::test {

namespace fs = std::filesystem;

namespace {

// The one that was built with the tests, unless the environment names another: the tests may have been moved.
std::string program() {
  const char* elsewhere = std::getenv("MG_MGTRAIN");
  return elsewhere != nullptr ? elsewhere : MG_MGTRAIN;
}

}  // namespace

Output mgtrain(const std::vector<std::string>& arguments) { return run_program(program(), arguments); }

Output mgtrain_signalled(const std::vector<std::string>& arguments, const std::function<bool()>& due,
                         int signal) {
  const TemporaryFolder folder;
  const pid_t child = start_program(program(), arguments, folder / "out", folder / "err");
  int status = 0;
  bool ended = false;
  while (!ended && !due()) {
    ended = ::waitpid(child, &status, WNOHANG) == child;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!ended) {
    ::kill(child, signal);
    ::waitpid(child, &status, 0);
  }
  return output_of(status, folder / "out", folder / "err");
}

const DataSet& synthetic_data() {
  static DataSet data;
  if (data.manifest.empty()) {
    const fs::path out = data.folder / "synth";
    const Output made = mgtrain({"synth", "--out", out, "--clips", "96", "--seed", "3"});
    if (made.code != 0) throw std::runtime_error("mgtrain synth failed: " + made.err);
    data.manifest = out / "manifest.csv";
    data.emotions = out / "emotions.csv";
    data.truth = out / "truth.json";
  }
  return data;
}

std::vector<std::string> all_stages(const fs::path& run, std::vector<std::string> more) {
  const DataSet& data = synthetic_data();
  std::vector<std::string> all{"train",     "--preset",    "nano",  "--manifest", data.manifest,
                               "--emotion", data.emotions, "--run", run};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

const fs::path& whole_run() {
  static fs::path run;
  if (run.empty()) {
    const fs::path path = synthetic_data().folder / "whole";
    const Output trained = mgtrain(all_stages(path));
    if (trained.code != 0) throw std::runtime_error("mgtrain train failed: " + trained.err);
    run = path;
  }
  return run;
}

std::string final_weights(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const char* stage : {"contrastive", "classifier", "emotion"}) {
    if (!fs::exists(run / "ckpt" / stage)) continue;
    fs::path last;
    for (const auto& entry : fs::directory_iterator(run / "ckpt" / stage)) {
      if (!entry.path().filename().string().starts_with("step_")) continue;
      const auto number = [](const fs::path& p) { return std::stoll("0" + p.filename().string().substr(5)); };
      if (last.empty() || number(entry.path()) > number(last)) last = entry.path();
    }
    for (const fs::path& checkpoint : {last, run / "ckpt" / stage / "best"}) {
      if (!fs::exists(checkpoint)) continue;
      for (const auto& file : fs::directory_iterator(checkpoint)) {
        files[fs::relative(file.path(), run).string()] = read_whole_file(file.path(), ExitCode::failure);
      }
    }
  }
  std::string all;
  for (const auto& [name, content] : files) all += name + ":" + content;
  return all;
}

}  // namespace mg::test
