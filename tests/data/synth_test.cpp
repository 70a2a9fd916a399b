// Synthetic data as files: the same from the same options, lists that agree with the videos, no half sets.
#include "data/synth/synth.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "data/synth/emotion_chain.h"
#include "data/synth/plan.h"
#include "data/synth/recording.h"
#include "data/synth_test_files.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

SynthResult make(const fs::path& out, int threads, std::int64_t clips = 24, std::uint64_t seed = 1) {
  return make_synthetic_data({.out = out, .clips = clips, .seed = seed, .threads = threads, .progress = {}});
}

ExitCode code_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.code();
  }
  return ExitCode::ok;
}

}  // namespace

TEST_CASE("the same options are the same bytes, on one thread and on two") {
  const test::SynthFolder folder("bytes");
  const SynthResult one = make(folder.path / "one", 1);
  CHECK(one.made);
  CHECK(one.clips == 24);
  CHECK(make(folder.path / "two" / "", 2).made);
  CHECK(make(folder.path / "again", 1).made);
  CHECK(make(folder.path / "other", 2, 24, 2).made);
  const auto files = test::read_tree(folder.path / "one");
  CHECK(static_cast<std::int64_t>(files.size()) == one.videos + 3);
  auto differing = [&](const char* other) {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : test::read_tree(folder.path / other)) {
      if (!files.contains(name) || files.at(name) != bytes) names.push_back(name);
    }
    return names.size();
  };
  CHECK(test::read_tree(folder.path / "two").size() == files.size());
  CHECK(differing("two") == 0);
  CHECK(differing("again") == 0);
  // The emotions of three videos may well be the same.
  CHECK(differing("other") >= files.size() - 1);
  for (const auto& [name, bytes] : files) CHECK(bytes.find(folder.path.string()) == std::string::npos);
}

TEST_CASE("the lists agree with each other and with the videos") {
  const test::SynthFolder folder("lists");
  const SynthResult result = make(folder.path / "data", 2, 60);
  const auto rows = test::read_list(result.manifest);
  REQUIRE(rows.size() == 60);
  std::map<std::string, std::set<std::string>> splits_of_subject, subjects_of_split, subjects_of_video;
  std::map<std::string, int> clips_of_split;
  std::map<std::string, std::vector<std::pair<int, int>>> ranges;
  const std::set<std::string> labels(synth_gestures().begin(), synth_gestures().end());
  CHECK(labels.size() == 12);
  for (const auto& row : rows) {
    CHECK(labels.contains(row.at("label")));
    CHECK_FALSE(row.at("caption").empty());
    CHECK(row.at("clip") == "videos/" + row.at("video") + ".mp4");
    splits_of_subject[row.at("subject")].insert(row.at("split"));
    subjects_of_split[row.at("split")].insert(row.at("subject"));
    subjects_of_video[row.at("video")].insert(row.at("subject"));
    ++clips_of_split[row.at("split")];
    ranges[row.at("video")].emplace_back(std::stoi(row.at("start_frame")), std::stoi(row.at("end_frame")));
  }
  for (const auto& [subject, splits] : splits_of_subject) CHECK(splits.size() == 1);
  for (const auto& [video, subjects] : subjects_of_video) CHECK(subjects.size() == 1);
  CHECK(clips_of_split == std::map<std::string, int>{{"train", 36}, {"val", 9}, {"test", 15}});
  CHECK(subjects_of_split.at("train").size() >= 2);
  CHECK(static_cast<std::int64_t>(ranges.size()) == result.videos);

  std::map<std::string, std::map<std::string, int>> emotions;  // of a split
  const auto videos = test::read_list(result.emotions);
  CHECK(static_cast<std::int64_t>(videos.size()) == result.videos);
  for (const auto& row : videos) {
    CHECK(splits_of_subject.at(row.at("subject")) == std::set<std::string>{row.at("split")});
    CHECK(subjects_of_video.at(row.at("video")).contains(row.at("subject")));
    ++emotions[row.at("split")][row.at("emotion")];
  }
  for (auto& [split, counts] : emotions) CHECK(std::abs(counts["positive"] - counts["negative"]) <= 1);

  for (const auto& entry : ranges) {
    const std::string& name = entry.first;
    const test::DecodedVideo video = test::decode_video(folder.path / "data" / "videos" / (name + ".mp4"));
    CAPTURE(name);
    CHECK(video.fps == 25);
    CHECK(video.width == synth::kWidth);
    CHECK(video.height == synth::kHeight);
    int before = -1;
    for (const auto& [first, last] : entry.second) {
      CHECK(first > before);
      CHECK(last > first);
      before = last;
    }
    CHECK(before < static_cast<int>(video.luma.size()));
  }
}

TEST_CASE("a video shows what was drawn") {
  const test::SynthFolder folder("pictures");
  const SynthResult result = make(folder.path / "data", 2, 24);
  const auto plans = synth::make_plan(24, 1);
  REQUIRE(static_cast<std::int64_t>(plans.size()) == result.videos);
  const synth::RecordingPlan& plan = plans.back();
  const test::DecodedVideo video = test::decode_video(folder.path / "data" / "videos" / (plan.name + ".mp4"));
  const synth::Recording recording(1, plan.subject, plan.name, plan.gestures);
  REQUIRE(static_cast<int>(video.luma.size()) == recording.motion().frames());
  synth::Canvas canvas(synth::kWidth, synth::kHeight);
  for (const int frame : {0, 57, recording.motion().frames() - 1}) {
    recording.render(frame, canvas);
    double sum = 0;
    std::size_t at = 0;
    for (int y = 0; y < synth::kHeight; ++y) {
      const float* p = canvas.row(y);
      for (int x = 0; x < synth::kWidth; ++x, p += 3) {
        const double luma = 16 + 65.481 * p[0] + 128.553 * p[1] + 24.966 * p[2];
        sum += std::abs(luma - video.luma[static_cast<std::size_t>(frame)][at++]);
      }
    }
    CAPTURE(frame);
    CHECK(sum / (synth::kWidth * synth::kHeight) < 4);
  }
}

TEST_CASE("truth.json holds the chain and the optimum") {
  const test::SynthFolder folder("truth");
  const SynthResult result = make(folder.path / "data", 2);
  const auto truth = nlohmann::json::parse(read_whole_file(result.truth, ExitCode::data));
  CHECK(truth.at("made_with") == nlohmann::json{{"format", 1}, {"clips", 24}, {"seed", 1}});
  CHECK(truth.at("gestures").get<std::vector<std::string>>() == synth_gestures());
  const double expected = truth.at("optimum").at("expected");
  CHECK(expected >= 80);
  CHECK(expected <= 90);
  for (std::size_t e = 0; e < synth::kEmotions; ++e) {
    const auto& chain = truth.at("chain").at(std::string(synth::emotion_names()[e]));
    CHECK(chain.at("start").get<std::vector<double>>() == synth::emotion_chains()[e].start);
    CHECK(chain.at("transitions").get<std::vector<std::vector<double>>>() ==
          synth::emotion_chains()[e].transitions);
    CHECK(chain.at("emissions").get<std::vector<std::vector<double>>>() ==
          synth::emotion_chains()[e].emissions);
  }
  // The optimum of a split, again from the lists.
  std::map<std::string, std::vector<int>> gestures;
  for (const auto& row : test::read_list(result.manifest)) {
    const auto& names = synth_gestures();
    gestures[row.at("video")].push_back(
        static_cast<int>(std::find(names.begin(), names.end(), row.at("label")) - names.begin()));
  }
  std::map<std::string, std::pair<int, int>> right_and_all;
  for (const auto& row : test::read_list(result.emotions)) {
    auto& [right, all] = right_and_all[row.at("split")];
    const int answer = synth::most_likely_emotion(gestures.at(row.at("video")));
    right += synth::emotion_names()[static_cast<std::size_t>(answer)] == row.at("emotion") ? 1 : 0;
    ++all;
  }
  for (const auto& [split, counts] : right_and_all) {
    CHECK(truth.at("optimum").at(split).get<double>() ==
          doctest::Approx(100.0 * counts.first / counts.second));
    CHECK(truth.at("splits").at(split).at("videos") == counts.second);
  }
  for (const auto& video : truth.at("videos")) {
    CHECK(video.at("gestures").get<std::vector<int>>() == gestures.at(video.at("video")));
    CHECK(video.at("spans").size() == video.at("moods").size());
  }
}

TEST_CASE("a finished data set is kept, and any other folder is refused") {
  const test::SynthFolder folder("refused");
  const fs::path out = folder.path / "data";
  fs::create_directories(out);  // empty: may be used
  CHECK(make(out, 1, 24).made);
  const auto before = test::read_tree(out);
  const SynthResult again = make(out, 2, 24);
  CHECK_FALSE(again.made);
  CHECK(again.clips == 24);
  CHECK(again.videos == static_cast<std::int64_t>(before.size()) - 3);
  CHECK(code_of([&] { make(out, 1, 25); }) == ExitCode::usage);
  CHECK(code_of([&] { make(out, 1, 24, 2); }) == ExitCode::usage);
  CHECK(test::read_tree(out) == before);
  fs::remove(out / "emotions.csv");
  CHECK(code_of([&] { make(out, 1, 24); }) == ExitCode::usage);

  const fs::path foreign = folder.path / "foreign";
  fs::create_directories(foreign);
  std::ofstream(foreign / "truth.json") << "{not json";
  CHECK(code_of([&] { make(foreign, 1, 24); }) == ExitCode::usage);
  CHECK(code_of([&] { make(foreign / "truth.json", 1, 24); }) == ExitCode::usage);
  CHECK(read_whole_file(foreign / "truth.json", ExitCode::data) == "{not json");
  CHECK(code_of([&] { make("", 1, 24); }) == ExitCode::usage);
  for (const std::int64_t clips : {-1, 0, 23, 1 << 30}) {
    CHECK(code_of([&] { make(folder.path / "few", 1, clips); }) == ExitCode::usage);
  }
  CHECK_FALSE(fs::exists(folder.path / "few"));
}

TEST_CASE("an interrupted run leaves nothing, and what one killed left is cleaned up") {
  const test::SynthFolder folder("interrupted");
  const fs::path out = folder.path / "data", aside = folder.path / "data.tmp";
  for (const int threads : {1, 2}) {
    SynthOptions options{.out = out, .clips = 24, .seed = 1, .threads = threads, .progress = {}};
    options.progress = [](std::int64_t, std::int64_t) { throw Error(ExitCode::interrupted, "stopped"); };
    CHECK(code_of([&] { make_synthetic_data(options); }) == ExitCode::interrupted);
    CHECK_FALSE(fs::exists(out));
    CHECK_FALSE(fs::exists(aside));
  }
  fs::create_directories(aside / "videos");
  std::ofstream(aside / "UNFINISHED").flush();
  std::ofstream(aside / "videos" / "s001_1.mp4") << "half a video";
  std::ofstream(aside / "videos" / "stale.mp4") << "of other options";
  std::int64_t last = 0, total = 0;
  SynthOptions options{.out = out, .clips = 24, .seed = 1, .threads = 1, .progress = {}};
  options.progress = [&](std::int64_t done, std::int64_t all) {
    CHECK(done == last + 1);
    last = done;
    total = all;
  };
  const SynthResult result = make_synthetic_data(options);
  CHECK(result.made);
  CHECK(last == result.videos);
  CHECK(total == result.videos);
  CHECK_FALSE(fs::exists(aside));
  CHECK_FALSE(fs::exists(out / "UNFINISHED"));
  CHECK_FALSE(fs::exists(out / "videos" / "stale.mp4"));

  // A folder of that name which is not ours is not removed.
  fs::remove_all(out);
  fs::create_directories(aside);
  std::ofstream(aside / "thesis.txt") << "dear";
  CHECK(code_of([&] { make(out, 1, 24); }) == ExitCode::usage);
  CHECK(fs::exists(aside / "thesis.txt"));
}

}  // namespace mg
