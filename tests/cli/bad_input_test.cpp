// What is wrong is said in one line that names file and place, with the documented exit code, and leaves
// nothing half-written.
#include <doctest/doctest.h>

#include <fstream>

#include "cli/mgtrain_command.h"
#include "engine/file.h"

namespace mg::test {

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kCommands{"demo", "synth",   "cache",  "train",
                                         "eval", "predict", "report", "info"};

// One clear error: this code, the last thing said, and every part in it.
void check_error(const Output& output, int code, const std::vector<std::string>& parts) {
  INFO(output.err);
  CHECK(output.code == code);
  const std::string error = output.err.substr(std::min(output.err.rfind("mgtrain: "), output.err.size()));
  CHECK(!error.empty());
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(error.find(part) != std::string::npos);
  }
}

struct Case {
  const char* name;
  std::string manifest;  // its text
  int code;
  std::vector<std::string> parts;
};

}  // namespace

TEST_CASE("without a GPU, cuda is one error and auto one line") {
  if (fs::exists("/dev/nvidia0")) {
    MESSAGE("skipped: this machine has a GPU");
    return;
  }
  const DataSet& data = synthetic_data();
  const TemporaryFolder folder;
  std::vector<std::string> arguments{"train", "--preset",     "nano",    "--manifest", data.manifest,
                                     "--run", folder / "run", "--stage", "contrastive"};
  arguments.insert(arguments.end(), {"--set", "contrastive.epochs=1", "--device", "cuda"});
  check_error(mgtrain(arguments), 1, {"device cuda: "});
  CHECK_FALSE(fs::exists(folder / "run"));
  arguments.back() = "auto";
  const Output trained = mgtrain(arguments);
  CHECK(trained.code == 0);
  const auto notice = trained.err.find("device: the processor, ");
  CHECK(notice != std::string::npos);
  CHECK(trained.err.find(", f32 (no GPU: ") != std::string::npos);
  CHECK(trained.err.find("device:", notice + 1) == std::string::npos);
}

TEST_CASE("each command teaches with an example") {
  for (const std::string& command : kCommands) {
    CAPTURE(command);
    const Output help = mgtrain({command, "--help"});
    CHECK(help.code == 0);
    CHECK(help.out.find("Example: mgtrain " + command) != std::string::npos);
    CHECK(help.err.empty());
  }
  CHECK(mgtrain({"--help"}).out.find("Exit codes") != std::string::npos);
  CHECK(mgtrain({"--version"}).out.find("mgtrain ") == 0);
}

TEST_CASE("a wrong command line is usage") {
  CHECK(mgtrain({}).code == 2);
  CHECK(mgtrain({"trian"}).code == 2);
  CHECK(mgtrain({"train", "--manifest", "m.csv"}).code == 2);
  CHECK(mgtrain({"train", "--manifest", "m.csv", "--run", "r", "--stage", "all of them"}).code == 2);
  CHECK(mgtrain({"synth", "--out", "x", "--clips", "-3"}).code == 2);
}

TEST_CASE("a wrong manifest is named with its line, and leaves no run and nothing half-written") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "empty");
  write_whole_file(folder / "text.mp4", "this is not a video\n");
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  const std::string whole = read_whole_file(video, ExitCode::failure);
  write_whole_file(folder / "half.mp4", whole.substr(0, whole.size() / 2));
  const std::string good = video.string();
  const std::string head = "clip,label,start_frame,end_frame,split\n";
  const std::vector<Case> cases{
      {"a missing column", "clip,lable\n" + good + ",wave\n", 4, {"m.csv:1", "label", "lable"}},
      {"an end before its start", head + good + ",wave,9,3,train\n", 4, {"m.csv:2"}},
      {"a range beyond the video",
       head + good + ",wave,0,5,train\n" + good + ",nod,3,999999,train\n",
       4,
       {"m.csv:3"}},
      {"text named .mp4", "clip,label\n" + good + ",wave\ntext.mp4,nod\n", 4, {"m.csv:3", "text.mp4"}},
      {"a truncated video", "clip,label\n" + good + ",wave\nhalf.mp4,nod\n", 4, {"m.csv:3", "half.mp4"}},
      {"a folder", "clip,label\n" + good + ",wave\nempty,nod\n", 4, {"m.csv:3", "empty"}},
      {"no such file", "clip,label\n" + good + ",wave\nnone.mp4,nod\n", 4, {"m.csv:3", "none.mp4"}},
      {"no clips", "clip,label\n", 4, {"m.csv"}},
      {"an empty file", "", 4, {"m.csv"}},
      {"one label only",
       head + good + ",wave,0,5,train\n" + good + ",wave,6,9,train\n",
       4,
       {"m.csv", "one label"}},
      {"a label that training did not see",
       head + good + ",wave,0,5,train\n" + good + ",nod,6,9,train\n" + good + ",wav,10,15,val\n",
       4,
       {"m.csv:4", "'wav'", "'wave'"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    write_whole_file(folder / "m.csv", c.manifest);
    const Output output =
        mgtrain({"train", "--preset", "nano", "--manifest", folder / "m.csv", "--run", folder / "run"});
    check_error(output, c.code, c.parts);
    CHECK(output.out.empty());
    CHECK(!fs::exists(folder / "run"));
    for (const auto& entry : fs::directory_iterator(folder.path)) {
      CHECK(entry.path().extension() != ".tmp");
    }
  }
}

TEST_CASE("bad clips can be skipped, and are named") {
  const TemporaryFolder folder;
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  write_whole_file(folder / "text.mp4", "this is not a video\n");
  write_whole_file(folder / "m.csv", "clip,label,start_frame,end_frame,split\n" + video.string() +
                                         ",wave,0,5,train\n" + "text.mp4,nod,0,5,train\n" + video.string() +
                                         ",nod,6,9,train\n" + "text.mp4,nod,0,7,val\n" + video.string() +
                                         ",nod,7,9,val\n");
  const Output output = mgtrain({"train", "--preset", "nano", "--manifest", folder / "m.csv", "--run",
                                 folder / "run", "--on-bad", "skip", "--set", "contrastive.epochs=1"});
  CHECK_MESSAGE(output.code == 0, output.err);
  CHECK(output.err.find("m.csv:3: text.mp4: left out") != std::string::npos);
  CHECK(read_whole_file(folder / "run/problems.json", ExitCode::failure).find("text.mp4") !=
        std::string::npos);
  const Output eval = mgtrain({"eval", "--run", folder / "run", "--manifest", folder / "m.csv", "--split",
                               "val", "--on-bad", "skip", "--json", folder / "eval.json"});
  CHECK_MESSAGE(eval.code == 0, eval.err);
  CHECK(read_whole_file(folder / "eval.json", ExitCode::failure).find("\"n\": 2") != std::string::npos);
}

TEST_CASE("all bad clips are listed at once, and what was decoded is kept") {
  const TemporaryFolder folder;
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  write_whole_file(folder / "text.mp4", "this is not a video\n");
  write_whole_file(folder / "m.csv", "clip,label\n" + video.string() + ",wave\ntext.mp4,nod\nnone.mp4,nod\n");
  const std::vector<std::string> cache{"cache", "--preset", "nano", "--manifest", folder / "m.csv"};
  for (int time = 0; time < 2; ++time) {  // the second time from the cache
    check_error(mgtrain(cache), 4,
                {"2 of 3 clips", "m.csv:3: ", "text.mp4", "m.csv:4: ", "none.mp4", "--on-bad skip"});
  }
  std::vector<std::string> skip = cache;
  skip.insert(skip.end(), {"--on-bad", "skip"});
  const Output kept = mgtrain(skip);
  CHECK(kept.code == 0);
  CHECK(kept.out.find("nothing to do") != std::string::npos);
}

TEST_CASE("a foreign cache is refused and left alone") {
  const TemporaryFolder folder;
  write_whole_file(folder / "cache.h5", "somebody's notes\n");
  check_error(mgtrain({"cache", "--preset", "nano", "--manifest", synthetic_data().manifest, "--cache",
                       folder / "cache.h5"}),
              4, {"cache.h5"});
  CHECK(read_whole_file(folder / "cache.h5", ExitCode::failure) == "somebody's notes\n");
}

TEST_CASE("wrong keys, runs and files") {
  const TemporaryFolder folder;
  const std::string manifest = synthetic_data().manifest, run = folder / "run";
  const auto train = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"train", "--manifest", manifest, "--run", run};
    all.insert(all.end(), more.begin(), more.end());
    return mgtrain(all);
  };
  check_error(train({"--set", "contrastive.lr_vido=1"}), 3, {"contrastive.lr_vido", "contrastive.lr_video"});
  check_error(train({"--preset", "nan"}), 3, {"nano", "mini"});
  check_error(train({"--set", "text.heads=7"}), 3, {"text.heads", "text.dim"});
  check_error(train({"--config", folder / "none.toml"}), 3, {"none.toml"});
  check_error(train({"--stage", "emotion"}), 2, {"--emotion"});
  check_error(train({"--preset", "nano", "--stage", "classifier"}), 5, {"contrastive", "train it first"});
  CHECK(!fs::exists(run));
  check_error(train({"--emotion", folder / "none.csv"}), 4, {"none.csv"});
  check_error(mgtrain({"train", "--manifest", folder / "none.csv", "--run", run}), 4, {"none.csv"});
  check_error(mgtrain({"eval", "--run", folder / "norun", "--manifest", manifest}), 2,
              {"norun", "not a run folder"});
  check_error(mgtrain({"predict", "--run", folder / "norun", "x.mp4"}), 2, {"norun"});
  check_error(mgtrain({"report", "--run", folder / "norun"}), 2, {"norun"});
}

}  // namespace mg::test
