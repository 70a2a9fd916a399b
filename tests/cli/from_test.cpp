// A run that starts from another: what it takes, that it then needs the other no more, and what does not fit.
#include <doctest/doctest.h>

#include <signal.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/mgtrain_command.h"
#include "engine/checkpoint.h"
#include "engine/file.h"

namespace mg::test {

namespace fs = std::filesystem;

namespace {

std::vector<std::string> train_arguments(const fs::path& run, const std::vector<std::string>& more) {
  std::vector<std::string> all{"train", "--manifest", synthetic_data().manifest, "--run", run};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// A finished run of all three stages, made once.
const fs::path& old_run() {
  static fs::path run;
  if (run.empty()) {
    const fs::path path = synthetic_data().folder / "old";
    const Output trained =
        mgtrain(train_arguments(path, {"--preset", "nano", "--emotion", synthetic_data().emotions, "--set",
                                       "contrastive.epochs=2", "--set", "emotion.epochs=2"}));
    if (trained.code != 0) throw std::runtime_error("mgtrain train failed: " + trained.err);
    run = path;
  }
  return run;
}

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), folder)] = read_whole_file(entry.path(), ExitCode::failure);
  }
  return files;
}

TensorMap last_model(const fs::path& run, const std::string& stage) {
  return latest_checkpoint(run / "ckpt" / stage, [](const std::string&) {})->data.model;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.as<char>(), b.as<char>(), a.bytes()) == 0;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a run starts from the weights of another, of every stage, and leaves it alone") {
  const auto before = files_of(old_run());
  const fs::path run = synthetic_data().folder / "from";
  // Nothing is learned here, so that what it started from is what it ends with.
  std::vector<std::string> still{"--from", old_run(), "--emotion", synthetic_data().emotions};
  for (const char* value : {"video.freeze=true", "text.freeze=true", "contrastive.lr_head=0",
                            "contrastive.epochs=3", "classifier.lr=0", "emotion.lr=0", "emotion.epochs=1"}) {
    still.insert(still.end(), {"--set", value});
  }
  const Output trained = mgtrain(train_arguments(run, still));
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  for (const char* stage : {"contrastive", "classifier", "emotion"}) {
    CAPTURE(stage);
    CHECK(has(trained.err, std::string(stage) + ": starts from the weights of old (last checkpoint, step "));
    const TensorMap ended = last_model(run, stage), started = last_model(old_run(), stage);
    CHECK(ended.size() == started.size());
    for (const auto& [name, tensor] : started) {
      CAPTURE(name);
      CHECK(same(ended.at(name), tensor));
    }
  }
  const std::string config = read_whole_file(run / "config.toml", ExitCode::failure);
  CHECK(has(config, "preset = 'nano'"));
  CHECK(has(config, "from = 'old, last step 14, XXH3-128 "));
  CHECK(has(mgtrain({"info", "--run", run}).out, "old, last step 14"));
  CHECK(files_of(run).at("vocab.txt") == before.at("vocab.txt"));
  CHECK(files_of(old_run()) == before);
  const auto record = nlohmann::json::parse(read_whole_file(run / "from/run.json", ExitCode::failure));
  CHECK(record["stages"]["contrastive"]["step"] == 14);
  CHECK(record["stages"]["contrastive"]["xxh3_128"] ==
        nlohmann::json::parse(
            before.at("ckpt/contrastive/step_14/manifest.json"))["xxh3_128"]["model.safetensors"]);
}

TEST_CASE("a run that starts from another goes on without it, killed in its first epoch, to the same bits") {
  const DataSet& data = synthetic_data();
  const fs::path lent = data.folder / "lent", whole = data.folder / "from_whole",
                 cut = data.folder / "from_cut";
  fs::copy(old_run(), lent, fs::copy_options::recursive);
  const std::vector<std::string> more{"--set", "contrastive.epochs=3", "--resume"};
  std::vector<std::string> first = more;
  first.insert(first.end(), {"--from", lent, "--checkpoint", "best"});
  REQUIRE(mgtrain(train_arguments(whole, first)).code == 0);
  const auto begun = [&] {
    return fs::exists(cut / "metrics.jsonl") && fs::file_size(cut / "metrics.jsonl") > 0;
  };
  REQUIRE(mgtrain_signalled(train_arguments(cut, first), begun, SIGKILL).code == 128 + SIGKILL);
  CHECK_FALSE(fs::exists(cut / "ckpt/contrastive"));
  fs::rename(lent, data.folder / "moved");
  const Output resumed = mgtrain(train_arguments(cut, more));
  REQUIRE_MESSAGE(resumed.code == 0, resumed.err);
  CHECK(final_weights(cut) == final_weights(whole));
  // The same command once more does no harm, the other run gone or there.
  CHECK(mgtrain(train_arguments(cut, first)).code == 0);
  // Before it had its copy it cannot go on, and does not begin with random weights.
  fs::remove_all(cut / "from");
  fs::remove_all(cut / "ckpt");
  const Output without = mgtrain(train_arguments(cut, more));
  CHECK(without.code == 5);
  CHECK(has(without.err, "give --from once more"));
  CHECK_FALSE(fs::exists(cut / "ckpt"));
  first[4] = data.folder / "moved";
  CHECK(mgtrain(train_arguments(cut, first)).code == 0);
  CHECK(final_weights(cut) == final_weights(whole));
}

TEST_CASE("other classes keep the encoders and have a classifier of their own") {
  const DataSet& data = synthetic_data();
  std::string list = read_whole_file(data.manifest, ExitCode::failure);
  for (auto at = list.find("leaning back"); at != std::string::npos; at = list.find("leaning back", at + 1)) {
    list.replace(at, 12, "zzyzx pose");
  }
  const fs::path manifest = fs::path(data.manifest).replace_filename("renamed.csv");
  write_whole_file(manifest, list);
  const Output trained = mgtrain({"train", "--manifest", manifest, "--run", data.folder / "other_classes",
                                  "--from", old_run(), "--set", "contrastive.epochs=1"});
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  CHECK(has(trained.err, "contrastive: starts from the weights of old"));
  CHECK(has(trained.err, "classifier: starts from random weights, not those of old: the classes are others"));
  const Output head = mgtrain(train_arguments(
      data.folder / "other_head",
      {"--from", old_run(), "--set", "contrastive.epochs=1", "--set", "classifier.hidden=16"}));
  REQUIRE_MESSAGE(head.code == 0, head.err);
  CHECK(has(head.err, "not those of old: classifier.hidden: 16 here, 32 there"));
}

TEST_CASE(
    "the encoders of a run start those of another preset, with their architecture, and nothing else does") {
  const fs::path run = synthetic_data().folder / "encoders";
  std::vector<std::string> still{"--preset",       "mini",    "--video-weights", old_run(),
                                 "--text-weights", old_run(), "--stage",         "contrastive"};
  for (const char* value : {"video.freeze=true", "text.freeze=true", "contrastive.epochs=1"}) {
    still.insert(still.end(), {"--set", value});
  }
  const Output trained = mgtrain(train_arguments(run, still));
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  const TensorMap ended = last_model(run, "contrastive");
  int encoders = 0;
  for (const auto& [name, tensor] : last_model(old_run(), "contrastive")) {
    CAPTURE(name);
    const bool encoder = name.starts_with("image_encoder.") || name.starts_with("text_encoder.");
    encoders += encoder ? 1 : 0;
    if (encoder) CHECK(same(ended.at(name), tensor));
    if (name == "image_projection.projection.weight") CHECK_FALSE(same(ended.at(name), tensor));
  }
  CHECK(encoders > 50);
  CHECK(files_of(run).at("vocab.txt") == files_of(old_run()).at("vocab.txt"));
  const auto kept = nlohmann::json::parse(read_whole_file(run / "video_weights.json", ExitCode::failure));
  CHECK(kept["run"] == "old");
  CHECK(kept["step"] == 14);
}

TEST_CASE("what a run cannot start from is said, and leaves no folder") {
  const DataSet& data = synthetic_data();
  const fs::path run = data.folder / "refused", unfinished = data.folder / "unfinished";
  fs::copy(old_run(), unfinished, fs::copy_options::recursive);
  fs::remove_all(unfinished / "ckpt/contrastive/step_14");
  struct Case {
    std::vector<std::string> more;
    int code;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases{
      {{"--from", data.folder / "none"}, 2, {"none: not a run folder"}},
      {{"--from", unfinished}, 5, {"stage 'contrastive' stopped at step 7 of 14"}},
      {{"--from", old_run(), "--set", "video.width=16"}, 3, {"video.width: 16 here, 8 there"}},
      {{"--from", old_run(), "--set", "text.heads=2", "--set", "prompt.layers=2"},
       3,
       {"text.heads: 2 here, 4 there", "prompt.layers: 2 here, 1 there"}},
      {{"--from", old_run(), "--preset", "mini"}, 3, {"video.width: 16 here, 8 there"}},
      {{"--from", old_run(), "--set", "text.vocabulary=v.txt"}, 3, {"text.vocabulary"}},
      {{"--checkpoint", "best"}, 2, {"--from"}},
      {{"--video-weights", unfinished}, 5, {"stage 'contrastive' stopped at step 7 of 14"}},
  };
  for (const Case& c : cases) {
    const Output output = mgtrain(train_arguments(run, c.more));
    INFO(output.err);
    CHECK(output.code == c.code);
    for (const std::string& part : c.parts) CHECK(has(output.err, part));
    CHECK_FALSE(fs::exists(run));
  }
  const Output late = mgtrain(train_arguments(old_run(), {"--resume", "--from", unfinished}));
  CHECK(late.code == 2);
  CHECK(has(late.err, "was started without it"));
}

}  // namespace mg::test
