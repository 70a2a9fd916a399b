// A run, its data and its weights in another place than where the run began; and data or weights that are not
// those it began with.
#include <doctest/doctest.h>

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "cli/mgtrain_command.h"
#include "convert/foreign_models.h"
#include "engine/file.h"
#include "engine/file_lock.h"

namespace mg {

namespace fs = std::filesystem;
using test::mgtrain;
using test::Output;
using test::TemporaryFolder;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void check_output(const Output& output, int code, const std::vector<std::string>& parts = {}) {
  INFO(output.out, output.err);
  CHECK(output.code == code);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(has(output.err, part));
  }
}

// A project's folder: data, and imported weights of a video encoder.
struct Project {
  TemporaryFolder outside;
  fs::path home = outside / "home";

  Project() {
    fs::create_directories(home);
    fs::copy(fs::path(test::synthetic_data().manifest).parent_path(), home / "data",
             fs::copy_options::recursive);
    fs::remove(home / "data/manifest.24x32.h5");
    import_weights("weights", test::small_video());
  }
  void import_weights(const std::string& name, const TensorMap& tensors) const {
    const fs::path file = outside / (name + ".safetensors");
    write_safetensors(file, tensors);
    check_output(test::run_program(MG_MGCONVERT, {"import", file, "--as", "r2plus1d", "--out", home / name}),
                 0);
  }
  std::vector<std::string> train(const std::string& run, std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"train", "--stage", "contrastive", "--manifest", home / "data/manifest.csv",
                                 "--run", home / run};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::string> start(const std::string& run) const {
    return train(run, {"--preset", "nano", "--video-weights", home / "weights", "--set",
                       "contrastive.epochs=4", "--set", "checkpoint.every=3"});
  }
  void replace_in_manifest(std::size_t line, const std::string& what, const std::string& by) const {
    const fs::path file = home / "data/manifest.csv";
    std::string text = read_whole_file(file, ExitCode::failure);
    std::size_t at = 0;
    while (--line > 0) at = text.find('\n', at) + 1;
    at = text.find(what, at);
    REQUIRE(at != std::string::npos);
    write_whole_file(file, text.replace(at, what.size(), by));
  }
};

fs::path frame_cache_of(const fs::path& data) {
  for (const auto& entry : fs::directory_iterator(data)) {
    if (entry.path().extension() == ".h5") return entry.path();
  }
  return {};
}

}  // namespace

TEST_CASE("a run moves with its data, and asks for weights only where it still needs them") {
  Project project;
  check_output(mgtrain(project.start("whole")), 0);
  const std::string whole = test::final_weights(project.home / "whole");
  const fs::path first = project.home / "cut/ckpt/contrastive/step_3";
  check_output(test::mgtrain_signalled(
                   project.start("cut"), [&] { return fs::exists(first); }, SIGKILL),
               128 + SIGKILL);
  const auto before = fs::last_write_time(frame_cache_of(project.home / "data"));

  const fs::path moved = project.outside / "elsewhere/deeper";
  fs::create_directories(moved.parent_path());
  fs::rename(project.home, moved);
  project.home = moved;
  fs::copy(moved / "cut", moved / "unsaved", fs::copy_options::recursive);
  fs::remove_all(moved / "unsaved/ckpt");
  fs::copy(moved / "unsaved", moved / "unsaved_too", fs::copy_options::recursive);

  // Nothing saved yet: the weights beside the run are found.
  check_output(mgtrain(project.train("unsaved", {"--resume"})), 0);
  CHECK(test::final_weights(moved / "unsaved") == whole);
  CHECK(fs::last_write_time(frame_cache_of(moved / "data")) == before);

  project.import_weights("others", [] {
    TensorMap tensors = test::small_video();
    tensors.begin()->second.as<float>()[0] += 1;
    return tensors;
  }());
  fs::rename(moved / "weights", moved / "renamed");
  check_output(mgtrain(project.train("unsaved_too", {"--resume"})), 5,
               {"has no checkpoint yet and starts from these weights", "--video-weights"});
  check_output(mgtrain(project.train("unsaved_too", {"--resume", "--video-weights", moved / "others"})), 5,
               {"others: these are not the weights that the run started from"});
  check_output(mgtrain(project.train("unsaved_too", {"--resume", "--video-weights", moved / "renamed"})), 0);
  CHECK(test::final_weights(moved / "unsaved_too") == whole);
  // A checkpoint: they are not asked for, and others are refused all the same.
  check_output(mgtrain(project.train("cut", {"--resume"})), 0);
  CHECK(test::final_weights(moved / "cut") == whole);
  check_output(mgtrain(project.train("cut", {"--resume", "--video-weights", moved / "others"})), 5,
               {"these are not the weights that the run started from"});
  CHECK_FALSE(
      has(read_whole_file(moved / "cut/config.toml", ExitCode::failure), project.outside.path.string()));
  check_output(mgtrain({"eval", "--run", moved / "cut", "--manifest", moved / "data/manifest.csv"}), 0);
  check_output(mgtrain({"report", "--run", moved / "cut"}), 0);
}

TEST_CASE("data that changed under a run is named by its line") {
  const Project project;
  check_output(mgtrain(project.start("run")), 0);
  const fs::path kept = project.home / "run/clips.csv", videos = project.home / "data/videos";
  const std::string list = read_whole_file(kept, ExitCode::failure);
  const std::vector<std::string> resume = project.train("run", {"--resume"});

  // Another video of the same size under the name.
  const fs::path video = videos / "s001_1.mp4", other = videos / "s002_1.mp4";
  const std::string mine = read_whole_file(video, ExitCode::failure);
  std::string theirs = read_whole_file(other, ExitCode::failure);
  theirs.resize(std::max(theirs.size(), mine.size()));
  write_whole_file(video, theirs);
  check_output(mgtrain(resume), 4,
               {"other data", "manifest.csv:2: clip 'videos/s001_1.mp4': its file has other"});
  write_whole_file(video, mine);
  check_output(mgtrain(resume), 0);

  project.replace_in_manifest(3, "a person", "somebody");
  check_output(mgtrain(resume), 4, {"manifest.csv:3: clip 'videos/s001_1.mp4': its caption was 'a person"});
  project.replace_in_manifest(3, "somebody", "a person");
  project.replace_in_manifest(4, ",train,", ",val,");
  check_output(mgtrain(resume), 4,
               {"manifest.csv:4: clip 'videos/s001_1.mp4': its split was 'train' and is now"});
  project.replace_in_manifest(4, ",val,", ",train,");
  check_output(mgtrain(resume), 0);

  // The list of an older run: four columns, the clips of train alone.
  std::string older;
  std::istringstream lines(list);
  for (std::string line; std::getline(lines, line);) {
    if (!has(line, ",val,")) older += std::regex_replace(line, std::regex(",(split|train),\\w+$"), "") + "\n";
  }
  REQUIRE(has(older, "clip,range,label,caption\n"));
  write_whole_file(kept, older);
  check_output(mgtrain(resume), 0);
  project.replace_in_manifest(3, "a person", "somebody");
  check_output(mgtrain(resume), 4, {"manifest.csv:3: clip 'videos/s001_1.mp4': its caption was 'a person"});
  project.replace_in_manifest(3, "somebody", "a person");
  CHECK(read_whole_file(kept, ExitCode::failure) == older);
  write_whole_file(kept, list);

  // A renamed file is the same data.
  fs::rename(video, videos / "renamed.mp4");
  const fs::path manifest = project.home / "data/manifest.csv";
  write_whole_file(manifest, std::regex_replace(read_whole_file(manifest, ExitCode::failure),
                                                std::regex("s001_1\\.mp4"), "renamed.mp4"));
  check_output(mgtrain(resume), 0);
  CHECK(read_whole_file(kept, ExitCode::failure) == list);
}

TEST_CASE("a second process on a run is told who is at work there") {
  const Project project;
  check_output(mgtrain(project.start("run")), 0);
  {
    FileLock lock(project.home / "run/.lock");
    REQUIRE(lock.try_take());
    check_output(
        mgtrain(project.train("run", {"--resume"})), 3,
        {fmt::format("another process is writing to this run: process {} on the machine ", ::getpid()),
         ", since 20"});
  }
  // What a killed process leaves is nobody's.
  write_whole_file(project.home / "run/.lock", "lab 1 1 2026-01-01 00:00:00\n");
  check_output(mgtrain(project.train("run", {"--resume"})), 0);
  CHECK_FALSE(fs::exists(project.home / "run/.lock"));
}

}  // namespace mg
