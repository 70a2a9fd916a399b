// Videos in, three trained stages and a report out, through the command line; and that nothing which
// interrupts or parallelises it changes a bit.
#include <doctest/doctest.h>

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/mgtrain_command.h"
#include "engine/file.h"

namespace mg::test {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json read_json(const fs::path& file) { return json::parse(read_whole_file(file, ExitCode::failure)); }

}  // namespace

TEST_CASE("training writes its stages, figures and record") {
  const fs::path& run = whole_run();
  for (const char* stage : {"contrastive", "classifier", "emotion"}) {
    CAPTURE(stage);
    CHECK(fs::exists(run / "ckpt" / stage));
    const json result = read_json(run / "results" / (std::string(stage) + "-val.json"));
    CHECK(result["n"].get<int>() > 0);
    CHECK(result["stage"] == stage);
  }
  CHECK(read_json(run / "problems.json").empty());
  CHECK(fs::exists(run / "config.toml"));
  CHECK(fs::exists(run / "environment.json"));
  CHECK(final_weights(run).size() > 10000);
  const Output again = mgtrain(all_stages(run));
  CHECK(again.code == 2);
  CHECK(again.err.find("--resume") != std::string::npos);
  const Output resumed = mgtrain(all_stages(run, {"--resume"}));
  CHECK(resumed.code == 0);
  CHECK(resumed.err.find("emotion: trained already") != std::string::npos);
}

TEST_CASE("eval counts every clip of the split, predict ranks labels, report writes a page") {
  const fs::path& run = whole_run();
  const DataSet& data = synthetic_data();
  const fs::path file = data.folder / "eval.json";
  std::size_t test_clips = 0;
  const std::string manifest = read_whole_file(data.manifest, ExitCode::failure);
  for (auto at = manifest.find(",test,"); at != std::string::npos; at = manifest.find(",test,", at + 1))
    ++test_clips;
  for (const std::string mode : {"similarity", "classifier", "emotion"}) {
    CAPTURE(mode);
    const Output eval =
        mgtrain({"eval", "--run", run, "--manifest", data.manifest, "--split", "test", "--mode", mode,
                 "--emotion", data.emotions, "--truth", data.truth, "--json", file});
    CHECK_MESSAGE(eval.code == 0, eval.err);
    const json result = read_json(file);
    for (const char* key :
         {"n", "top1", "top5", "mean_class", "macro_f1", "confusion", "labels", "constant"}) {
      CHECK(result.contains(key));
    }
    if (mode == "emotion") {
      CHECK(result["optimum"]["expected"].get<double>() > 50);
    } else {
      CHECK(result["n"].get<std::size_t>() == test_clips);
      CHECK(result["labels"].size() == 12);
    }
  }
  fs::path any;
  for (const auto& entry : fs::directory_iterator(data.folder / "synth/videos")) any = entry.path();
  const Output predicted = mgtrain({"predict", "--run", run, "--json", "--top", "0", any});
  CHECK_MESSAGE(predicted.code == 0, predicted.err);
  const json ranked = json::parse(predicted.out)[0]["labels"];
  REQUIRE(ranked.size() == 12);
  double sum = 0, before = 1;
  for (const json& label : ranked) {
    sum += label["probability"].get<double>();
    CHECK(label["probability"].get<double>() <= before);
    before = label["probability"].get<double>();
  }
  CHECK(sum == doctest::Approx(1));
  write_whole_file(data.folder / "labels.txt", "someone nods\nsomeone waves\n\n");
  const Output zero_shot = mgtrain({"predict", "--run", run, "--labels", data.folder / "labels.txt", any});
  CHECK(zero_shot.code == 0);
  CHECK(zero_shot.out.find("someone waves") != std::string::npos);
  const Output report = mgtrain({"report", "--run", run});
  CHECK_MESSAGE(report.code == 0, report.err);
  CHECK(read_whole_file(run / "report.html", ExitCode::failure).find("</html>") != std::string::npos);
}

TEST_CASE("the best checkpoint is kept beside the last, and says of which a figure is") {
  const fs::path& run = whole_run();
  const DataSet& data = synthetic_data();
  for (const std::string stage : {"contrastive", "classifier", "emotion"}) {
    CAPTURE(stage);
    const std::string mode = stage == "contrastive" ? "similarity" : stage;
    const json last = read_json(run / "results" / (stage + "-val.json"));
    CHECK(last["checkpoint"]["which"] == "last");
    const Output eval = mgtrain({"eval", "--run", run, "--manifest", data.manifest, "--split", "val",
                                 "--mode", mode, "--emotion", data.emotions, "--checkpoint", "best"});
    REQUIRE_MESSAGE(eval.code == 0, eval.err);
    CHECK(eval.out.find("best checkpoint (epoch ") != std::string::npos);
    const json best = read_json(run / "results" / (stage + "-val-best.json"));
    CHECK(best["checkpoint"]["which"] == "best");
    CHECK(best["checkpoint"]["step"] == read_json(run / "ckpt" / stage / "best/state.json")["step"]);
    CHECK(best["top1"].get<double>() >= last["top1"].get<double>());
    // What the stage saw when it kept it.
    const fs::path newest =
        run / "ckpt" / stage / ("step_" + last["checkpoint"]["step"].dump()) / "state.json";
    CHECK(best["top1"].get<double>() == doctest::Approx(read_json(newest)["best"]["top1"].get<double>()));
    CHECK(read_json(run / "results" / (stage + "-val.json")) == last);
  }
  fs::path any;
  for (const auto& entry : fs::directory_iterator(data.folder / "synth/videos")) any = entry.path();
  CHECK(mgtrain({"predict", "--run", run, "--checkpoint", "best", any}).code == 0);
  const Output wrong = mgtrain({"predict", "--run", run, "--checkpoint", "bets", any});
  CHECK(wrong.code == 2);
}

TEST_CASE("a run that is killed again and again ends with the weights of one that was not") {
  // By hand with MG_KILLS=20.
  const char* wanted = std::getenv("MG_KILLS");
  const int kills = wanted != nullptr ? std::atoi(wanted) : 3;
  const std::vector<std::string> longer{"--resume", "--set", "contrastive.epochs=12", "--set",
                                        "checkpoint.every=2"};
  const fs::path whole = synthetic_data().folder / "not_killed", run = synthetic_data().folder / "killed";
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  REQUIRE(mgtrain(all_stages(whole, longer)).code == 0);
  const auto duration = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
  // Spread over the whole run, all three stages, at places that differ from kill to kill.
  int done = 0;
  for (int k = 0; k < kills; ++k) {
    const auto end =
        Clock::now() + std::chrono::milliseconds(duration / (kills + 1) * (70 + k * 37 % 60) / 100 + 100);
    const auto due = [&] { return Clock::now() >= end; };
    done += mgtrain_signalled(all_stages(run, longer), due, SIGKILL).code == 128 + SIGKILL;
  }
  MESSAGE("killed " << done << " times");
  CHECK(done == kills);
  const Output ended = mgtrain(all_stages(run, longer));
  CHECK_MESSAGE(ended.code == 0, ended.err);
  CHECK(final_weights(run) == final_weights(whole));
}

TEST_CASE("the authors' choices train, resume to the bit, and give one result for their random tests") {
  const DataSet& data = synthetic_data();
  std::vector<std::string> authors{"--resume"};
  for (const char* choice :
       {"cache.resize=ffmpeg", "video.input=rgb", "video.resize_height=40", "video.resize_width=44",
        "video.scale=authors_255", "sampler.train=authors_random", "sampler.test=authors_random",
        "sampler.short=paper_random", "augment.crop=center", "contrastive.similarity=dot",
        "contrastive.target=l1", "contrastive.schedule=plateau", "contrastive.plateau_patience=0",
        "contrastive.early_stop=2", "contrastive.epochs=8", "contrastive.temperature=4",
        "emotion.tokens=wordpieces", "checkpoint.every=3"}) {
    authors.insert(authors.end(), {"--set", choice});
  }
  const fs::path whole = data.folder / "authors", cut = data.folder / "authors_cut";
  const Output trained = mgtrain(all_stages(whole, authors));
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  const auto begun = [&] { return fs::exists(cut / "ckpt/contrastive/step_6"); };
  CHECK(mgtrain_signalled(all_stages(cut, authors), begun, SIGKILL).code == 128 + SIGKILL);
  REQUIRE(mgtrain(all_stages(cut, authors)).code == 0);
  CHECK(final_weights(cut) == final_weights(whole));
  for (const char* result : {"contrastive-val.json", "classifier-val.json", "emotion-val.json"}) {
    CAPTURE(result);
    CHECK(read_json(cut / "results" / result) == read_json(whole / "results" / result));
  }
  // Figures that are made again later, by a process that trains nothing, come from the same random frames.
  fs::remove(cut / "results/contrastive-val.json");
  fs::remove(cut / "results/classifier-val.json");
  REQUIRE(mgtrain(all_stages(cut, authors)).code == 0);
  for (const char* result : {"contrastive-val.json", "classifier-val.json"}) {
    CAPTURE(result);
    CHECK(read_json(cut / "results" / result) == read_json(whole / "results" / result));
  }
  const auto figures = [&](const fs::path& run) {
    const Output eval =
        mgtrain({"eval", "--run", run, "--manifest", data.manifest, "--json", run / "e.json"});
    CHECK_MESSAGE(eval.code == 0, eval.err);
    return read_json(run / "e.json");
  };
  CHECK(figures(whole) == figures(cut));
}

TEST_CASE("info says where each value of a preset comes from") {
  const Output info = mgtrain({"info", "--preset", "authors", "--set", "cache.fps=25"});
  REQUIRE(info.code == 0);
  const auto line_of = [&](const std::string& key) {
    const auto at = info.out.find("  " + key + " ");
    return at == std::string::npos ? "" : info.out.substr(at, info.out.find('\n', at) - at);
  };
  CHECK(line_of("video.scale").find("authors_255") != std::string::npos);
  CHECK(line_of("video.scale").find("(source: authors' code: 0 to 255") != std::string::npos);
  CHECK(line_of("video.width").find("(source: torchvision)") != std::string::npos);
  CHECK(line_of("cache.fps").find("(source: given by hand)") != std::string::npos);
}

TEST_CASE("a run is not continued on other data") {
  const fs::path run = synthetic_data().folder / "other_data";
  fs::copy(whole_run(), run, fs::copy_options::recursive);
  const std::string before = read_whole_file(run / "classes.json", ExitCode::failure);
  std::string list = read_whole_file(synthetic_data().manifest, ExitCode::failure);
  for (auto at = list.find("leaning back"); at != std::string::npos; at = list.find("leaning back", at + 1)) {
    list.replace(at, 12, "sitting back");
  }
  const fs::path manifest = fs::path(synthetic_data().manifest).replace_filename("other.csv");
  write_whole_file(manifest, list);
  const Output output = mgtrain({"train", "--resume", "--manifest", manifest, "--run", run});
  CHECK(output.code == 4);
  CHECK(output.err.find("other data") != std::string::npos);
  CHECK(read_whole_file(run / "classes.json", ExitCode::failure) == before);
}

TEST_CASE("a classifier that cannot be used is said, never replaced by similarity") {
  const fs::path run = synthetic_data().folder / "no_classifier";
  fs::copy(whole_run(), run, fs::copy_options::recursive);
  for (const auto& step : fs::directory_iterator(run / "ckpt/classifier")) {
    write_whole_file(step.path() / "model.safetensors", "damaged");
  }
  const std::vector<std::string> eval{"eval", "--run", run, "--manifest", synthetic_data().manifest};
  const Output refused = mgtrain(eval);
  CHECK(refused.code == 5);
  CHECK(refused.err.find("stage 'classifier'") != std::string::npos);
  CHECK(refused.out.empty());
  std::vector<std::string> similarity = eval;
  similarity.insert(similarity.end(), {"--mode", "similarity"});
  CHECK(mgtrain(similarity).code == 0);
}

TEST_CASE("the number of threads changes no bit") {
  const fs::path run = synthetic_data().folder / "one_thread";
  const Output trained = mgtrain(all_stages(run, {"--threads", "1"}));
  CHECK_MESSAGE(trained.code == 0, trained.err);
  CHECK(final_weights(run) == final_weights(whole_run()));
}

TEST_CASE("SIGTERM ends a run after its step, saved, and it goes on from there") {
  const fs::path run = synthetic_data().folder / "terminated";
  const std::vector<std::string> endless{"--set", "contrastive.epochs=100000", "--stage", "contrastive",
                                         "--resume"};
  // Once it has saved by itself, it trains.
  const fs::path checkpoints = run / "ckpt/contrastive";
  const Output stopped = mgtrain_signalled(
      all_stages(run, endless), [&] { return fs::exists(checkpoints); }, SIGTERM);
  CHECK(stopped.code == 143);
  CHECK(stopped.err.find("add --resume to continue") != std::string::npos);
  const auto newest = [&] {  // step; by names alone, since folders come and go meanwhile
    long long step = 0;
    for (const auto& entry : fs::directory_iterator(checkpoints)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("step_") && !name.ends_with(".tmp"))
        step = std::max(step, std::stoll(name.substr(5)));
    }
    return step;
  };
  const auto before = newest();
  const Output again = mgtrain_signalled(
      all_stages(run, endless), [&] { return newest() != before; }, SIGINT);
  CHECK(again.code == 130);
  CHECK(again.err.find("contrastive: continuing at step") != std::string::npos);
}

}  // namespace mg::test
