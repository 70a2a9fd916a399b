// The loop that the stages share, on a stage small enough to see through.
#include "train/stages/stage.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <sstream>

#include "engine/file.h"
#include "engine/layers.h"
#include "temporary_folder.h"
#include "train/gesture_scores.h"
#include "train/metrics_log.h"

namespace mg {

namespace {

constexpr std::int64_t kSamples = 22, kBatch = 5, kEpochs = 6;

// A linear layer that learns from its samples' numbers, and remembers which it saw.
class SmallStage : public Stage {
 public:
  explicit SmallStage(Context& ctx) : ctx_(ctx), fc_(3, 2), optimizer_({{"fc", fc_.parameters(), 0.05}}, {}) {
    fc_.initialize(3, "small");
  }
  const std::string& name() const override { return name_; }
  std::vector<NamedTensor> model() override { return named_tensors(fc_); }
  AdamW& optimizer() override { return optimizer_; }
  void prefetch(const StepPlan& plan) override { prefetched.push_back(plan.step); }
  Late<float> forward_backward(const StepPlan& plan) override {
    CHECK(std::find(prefetched.begin(), prefetched.end(), plan.step) != prefetched.end());
    seen.push_back(plan.samples);
    if (plan.step == poison_at) fc_.parameters().front().parameter->value.f32()[1] = INFINITY;
    if (plan.step == fail_at) throw Error(ExitCode::failure, "killed");
    Tape tape;
    const Restore<Tape*> recording(ctx_.tape, &tape);
    const auto rows = static_cast<std::int64_t>(plan.samples.size());
    Tensor x = ctx_.zeros({rows, 3}, Layout::dense), targets = ctx_.zeros({rows, 2}, Layout::dense);
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto sample = static_cast<float>(plan.samples[static_cast<std::size_t>(r)]);
      x.f32()[3 * r] = std::sin(sample);
      x.f32()[3 * r + 1] = std::cos(2 * sample);
      targets.f32()[2 * r + (std::sin(sample) > 0 ? 1 : 0)] = explode ? NAN : 1;
    }
    const Value loss = cross_entropy(ctx_, fc_.forward(ctx_, Value(x)), targets);
    tape.backward(ctx_, loss);
    return ctx_.read_later<float>(loss.data);
  }
  std::optional<StageFigures> evaluate(std::int64_t epoch, bool last) override {
    evaluated.push_back(epoch);
    CHECK(last == (epoch + 1 == kEpochs));
    StageFigures figures{50, 100};
    if (!val_top1.empty()) figures.top1 = val_top1.at(static_cast<std::size_t>(epoch));
    if (!val_losses.empty()) figures.loss = val_losses.at(static_cast<std::size_t>(epoch));
    return figures;
  }
  std::vector<float> weights() {
    std::vector<float> all;
    for (const NamedParameter& p : fc_.parameters()) {
      all.insert(all.end(), p.parameter->value.f32(), p.parameter->value.f32() + p.parameter->value.count());
    }
    return all;
  }

  std::vector<std::int64_t> prefetched, evaluated;
  std::vector<std::vector<std::int64_t>> seen;
  std::vector<double> val_losses;  // of each epoch; empty: none is told
  std::vector<double> val_top1;    // of each epoch; empty: always 50
  std::int64_t fail_at = -1, poison_at = -1;
  bool explode = false;

 private:
  const std::string name_ = "small";
  Context& ctx_;
  Linear fc_;
  AdamW optimizer_;
};

const StageOptions kOptions{
    .samples = kSamples, .batch = kBatch, .epochs = kEpochs, .schedule = Schedule::cosine, .warmup = 0.2};

std::vector<nlohmann::json> metrics(const std::filesystem::path& run) {
  std::istringstream lines(read_whole_file(run / "metrics.jsonl", ExitCode::failure));
  std::vector<nlohmann::json> all;
  for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
  return all;
}

}  // namespace

TEST_CASE(
    "an epoch is a permutation in batches of nearly one size, and depends on nothing but seed and step") {
  StepPlanner planner(kSamples, kBatch, kEpochs, 1, "a");
  CHECK(planner.steps_per_epoch() == 4);
  CHECK(planner.steps() == 24);
  std::set<std::vector<std::int64_t>> orders;
  for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    std::vector<std::int64_t> order;
    for (std::int64_t k = 0; k < 4; ++k) {
      const StepPlan plan = planner.plan(epoch * 4 + k);
      CHECK(plan.epoch == epoch);
      CHECK((plan.samples.size() == 5 || plan.samples.size() == 6));
      order.insert(order.end(), plan.samples.begin(), plan.samples.end());
      CHECK(StepPlanner(kSamples, kBatch, kEpochs, 1, "a").plan(epoch * 4 + k).samples == plan.samples);
    }
    orders.insert(order);
    std::sort(order.begin(), order.end());
    std::vector<std::int64_t> every(kSamples);
    std::iota(every.begin(), every.end(), std::int64_t{0});
    CHECK(order == every);
  }
  CHECK(orders.size() == kEpochs);
  CHECK(StepPlanner(kSamples, kBatch, kEpochs, 2, "a").plan(0).samples != planner.plan(0).samples);
  CHECK(StepPlanner(kSamples, kBatch, kEpochs, 1, "b").plan(0).samples != planner.plan(0).samples);
}

TEST_CASE("few samples make one step an epoch") {
  StepPlanner planner(2, 32, 3, 1, "a");
  CHECK(planner.steps() == 3);
  CHECK(planner.plan(2).samples.size() == 2);
}

TEST_CASE(
    "a stage that is cut off at any step continues to the same bits, and its record has no step twice") {
  test::TemporaryFolder folder;
  Config config;
  Context ctx{CpuStream(1)};
  SmallStage whole(ctx);
  {
    RunDirectory run(folder / "whole", config, false);
    run_stage(whole, kOptions, run, ctx);
    CHECK(finished_stage(run, "small").state["step"] == 24);
  }
  CHECK(whole.evaluated == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
  for (std::int64_t cut = 0; cut < 24; cut += 5) {
    CAPTURE(cut);
    const auto path = folder / ("cut" + std::to_string(cut));
    {
      RunDirectory run(path, config, false);
      SmallStage stage(ctx);
      stage.fail_at = cut;
      CHECK_THROWS_AS(run_stage(stage, kOptions, run, ctx), Error);
      CHECK(!is_finished(run, "small"));
      CHECK_THROWS_AS(finished_stage(run, "small"), Error);
    }
    RunDirectory run(path, config, true);
    SmallStage stage(ctx);
    run_stage(stage, kOptions, run, ctx);
    CHECK(stage.weights() == whole.weights());
    std::set<std::int64_t> steps;
    std::size_t lines = 0;
    for (const auto& line : metrics(path)) {
      if (line["kind"] != "train") continue;
      steps.insert(line["step"].get<std::int64_t>());
      ++lines;
    }
    CHECK(lines == 24);
    CHECK(steps.size() == 24);
  }
}

TEST_CASE("a watched stage lowers its rates and ends early, and is cut off without a trace") {
  test::TemporaryFolder folder;
  Config config;
  config.set("checkpoint.every=1");
  Context ctx{CpuStream(1)};
  struct Case {
    const char* name;
    bool val;
    std::int64_t steps;  // until it ends
  };
  // Of val: best in epoch 2, then twice no better: ends after epoch 4 of 6. Of training: to the end.
  for (const Case& c : {Case{"val", true, 16}, Case{"training", false, 24}}) {
    CAPTURE(c.name);
    StageOptions options = kOptions;
    options.schedule = Schedule::constant;
    options.watch = {.val = c.val, .factor = 0.1, .patience = 0, .stop_after = c.val ? 2 : 0};
    const std::vector<double> val_losses =
        c.val ? std::vector<double>{2, 1, 1.5, 1.2, 0.5, 0.4} : std::vector<double>{};
    SmallStage whole(ctx);
    whole.val_losses = val_losses;
    const auto whole_path = folder / c.name;
    {
      RunDirectory run(whole_path, config, false);
      run_stage(whole, options, run, ctx);
      CHECK(is_finished(run, "small"));
      const auto state = finished_stage(run, "small").state;
      CHECK(state["step"] == c.steps);
      CHECK(state["stopped_early"] == c.val);
      if (c.val) CHECK(state["watch"]["lr_factor"].get<double>() == doctest::Approx(0.01));
      // Nothing is left to do.
      SmallStage again(ctx);
      again.val_losses = val_losses;
      run_stage(again, options, run, ctx);
      CHECK(again.seen.empty());
      CHECK(again.weights() == whole.weights());
    }
    CHECK(whole.seen.size() == static_cast<std::size_t>(c.steps));
    if (c.val) {
      const auto lines = metrics(whole_path);
      const auto rate_of = [&](std::int64_t step) {
        for (const auto& line : lines) {
          if (line["kind"] == "train" && line["step"] == step) return line["lr"].get<double>();
        }
        return 0.0;
      };
      CHECK(rate_of(12) == doctest::Approx(0.05));
      CHECK(rate_of(13) == doctest::Approx(0.005));
      CHECK(std::count_if(lines.begin(), lines.end(),
                          [](const auto& l) { return l["kind"] == "eval" && l["loss"] == 1.2; }) == 1);
    }
    for (std::int64_t cut = 1; cut < c.steps; cut += 3) {
      CAPTURE(cut);
      const auto path = folder / (c.name + std::to_string(cut));
      {
        RunDirectory run(path, config, false);
        SmallStage stage(ctx);
        stage.val_losses = val_losses;
        stage.fail_at = cut;
        CHECK_THROWS_AS(run_stage(stage, options, run, ctx), Error);
      }
      RunDirectory run(path, config, true);
      SmallStage stage(ctx);
      stage.val_losses = val_losses;
      run_stage(stage, options, run, ctx);
      CHECK(stage.seen.size() == static_cast<std::size_t>(c.steps - cut));
      CHECK(stage.weights() == whole.weights());
      CHECK(finished_stage(run, "small").state == finished_stage(RunDirectory(whole_path), "small").state);
    }
  }
}

TEST_CASE("the best checkpoint is the highest top-1, of equals the smaller loss, then the earlier") {
  test::TemporaryFolder folder;
  const Config config;
  Context ctx{CpuStream(1)};
  struct Case {
    const char* name;
    std::vector<double> top1, losses;
    std::int64_t epoch;  // the best, from 1
  };
  for (const Case& c : {Case{"top1", {40, 60, 50, 60, 30, 20}, {}, 2},
                        Case{"loss", {40, 60, 50, 60, 60, 20}, {9, 3, 1, 2, 2, 0}, 4},
                        Case{"nan", {40, 60, 60, 60, 60, 60}, {9, NAN, 1, 2, 2, 0}, 2},
                        Case{"last", {1, 2, 3, 4, 5, 6}, {}, 6}}) {
    CAPTURE(c.name);
    RunDirectory run(folder / c.name, config, false);
    SmallStage stage(ctx);
    stage.val_top1 = c.top1;
    stage.val_losses = c.losses;
    run_stage(stage, kOptions, run, ctx);
    const CheckpointData best = finished_stage(run, "small", WhichCheckpoint::best);
    CHECK(checkpoint_json(best, WhichCheckpoint::best) ==
          nlohmann::ordered_json{{"which", "best"}, {"step", 4 * c.epoch}, {"epoch", c.epoch}});
    CHECK(finished_stage(run, "small").state["epoch"] == 6);
    // It is the model of that epoch.
    SmallStage until(ctx);
    until.fail_at = 4 * c.epoch;
    RunDirectory other(folder / (c.name + std::string("-until")), config, false);
    if (c.epoch < kEpochs) {
      CHECK_THROWS_AS(run_stage(until, kOptions, other, ctx), Error);
    } else {
      run_stage(until, kOptions, other, ctx);
    }
    SmallStage loaded(ctx);
    load_tensors(loaded.model(), best.model, "best");
    CHECK(loaded.weights() == until.weights());
  }
}

TEST_CASE(
    "the best checkpoint survives any cut with the same bits, and none is claimed where none was kept") {
  test::TemporaryFolder folder;
  const std::vector<double> top1{40, 60, 50, 60, 70, 20};
  Context ctx{CpuStream(1)};
  const auto bytes = [](const std::filesystem::path& run) {
    std::string all;
    for (const char* file : {"model.safetensors", "training.safetensors", "state.json", "manifest.json"}) {
      all += read_whole_file(run / "ckpt/small/best" / file, ExitCode::failure);
    }
    return all;
  };
  const auto train = [&](const std::filesystem::path& path, const Config& config, std::int64_t fail_at) {
    RunDirectory run(path, config, true);
    SmallStage stage(ctx);
    stage.val_top1 = top1;
    stage.fail_at = fail_at;
    if (fail_at < 0) return run_stage(stage, kOptions, run, ctx);
    CHECK_THROWS_AS(run_stage(stage, kOptions, run, ctx), Error);
  };
  Config rare;  // the best is newer than the last checkpoint when the run is cut off
  rare.set("checkpoint.every=7");
  train(folder / "whole", rare, -1);
  for (std::int64_t cut = 1; cut < 24; cut += 2) {
    CAPTURE(cut);
    const auto path = folder / ("cut" + std::to_string(cut));
    train(path, rare, cut);
    // What a kill while it was saved leaves does not stay.
    std::filesystem::create_directories(path / "ckpt/small/best.tmp");
    train(path, rare, -1);
    CHECK(bytes(path) == bytes(folder / "whole"));
    CHECK_FALSE(std::filesystem::exists(path / "ckpt/small/best.tmp"));
  }
  Config without;
  without.set("checkpoint.best=false");
  train(folder / "without", without, -1);
  CHECK_FALSE(std::filesystem::exists(folder / "without/ckpt/small/best"));
  const RunDirectory run(folder / "without");
  CHECK_THROWS_WITH_AS(finished_stage(run, "small", WhichCheckpoint::best),
                       doctest::Contains("there is no best checkpoint"), Error);
  // Kept for a while, then not: what is there is the best of a part of the training only.
  train(folder / "while", rare, 9);
  train(folder / "while", without, -1);
  CHECK_THROWS_WITH_AS(finished_stage(RunDirectory(folder / "while"), "small", WhichCheckpoint::best),
                       doctest::Contains("there is no best checkpoint"), Error);
  std::filesystem::copy(
      folder / "whole/ckpt/small/step_24", folder / "whole/ckpt/small/best",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS_WITH_AS(finished_stage(RunDirectory(folder / "whole"), "small", WhichCheckpoint::best),
                       doctest::Contains("expected the checkpoint of step 20"), Error);
}

TEST_CASE("gradients that stay not finite end the training") {
  test::TemporaryFolder folder;
  Context ctx{CpuStream(1)};
  RunDirectory run(folder / "run", Config(), false);
  SmallStage stage(ctx);
  stage.explode = true;
  const std::vector<float> before = stage.weights();
  CHECK_THROWS_WITH_AS(run_stage(stage, kOptions, run, ctx), doctest::Contains("were not finite"), Error);
  CHECK(stage.weights() == before);
  CHECK(stage.seen.size() == 10);
}

TEST_CASE("a model with numbers that are not finite is not saved, and the checkpoint before it stays") {
  test::TemporaryFolder folder;
  Context ctx{CpuStream(1)};
  RunDirectory run(folder / "run", Config(), false);
  SmallStage stage(ctx);
  stage.poison_at = 5;
  CHECK_THROWS_WITH_AS(run_stage(stage, kOptions, run, ctx),
                       doctest::Contains("step 8 is not saved: the training diverged"), Error);
  CHECK(std::filesystem::exists(run.checkpoints("small") / "step_4"));
  CHECK_FALSE(std::filesystem::exists(run.checkpoints("small") / "step_8"));
}

TEST_CASE("a stage in which no step was finite is not done") {
  test::TemporaryFolder folder;
  Context ctx{CpuStream(1)};
  RunDirectory run(folder / "run", Config(), false);
  SmallStage stage(ctx);
  stage.explode = true;
  StageOptions few = kOptions;
  few.batch = kSamples;
  CHECK_THROWS_WITH_AS(run_stage(stage, few, run, ctx),
                       doctest::Contains("not one of 6 steps had a finite loss"), Error);
  CHECK_FALSE(is_finished(run, "small"));
}

TEST_CASE("scores that are not finite are no ranking: the sample is named") {
  const auto name = [](std::size_t row) { return "clip " + std::to_string(row); };
  CHECK_NOTHROW(refuse_unusable_scores(std::vector<float>{1, -2, 3, 0}, 2, name));
  for (const float wrong : {NAN, INFINITY, -INFINITY}) {
    CHECK_THROWS_WITH_AS(refuse_unusable_scores(std::vector<float>{1, -2, 3, wrong}, 2, name),
                         doctest::Contains("clip 1: the model's scores are not finite"), Error);
  }
}

TEST_CASE("a run's folder is not taken twice, and not continued with another configuration") {
  test::TemporaryFolder folder;
  const Config config;
  const auto path = folder / "run";
  {
    RunDirectory run(path, config, false);
    CHECK_THROWS_WITH_AS(RunDirectory(path, config, true), doctest::Contains("another process"), Error);
  }
  CHECK_THROWS_WITH_AS(RunDirectory(path, config, false), doctest::Contains("--resume"), Error);
  Config other = config;
  other.set("threads=3");
  CHECK_NOTHROW(RunDirectory(path, other, true));
  other.set("contrastive.batch=7");
  CHECK_THROWS_WITH_AS(RunDirectory(path, other, true), doctest::Contains("contrastive.batch: 7 here"),
                       Error);
  CHECK_THROWS_WITH_AS(RunDirectory(folder / "none"), doctest::Contains("not a run folder"), Error);
}

TEST_CASE("the record drops a line that was cut off, and goes on counting the seconds") {
  test::TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  const std::string a = "{\"stage\": \"a\", \"step\": 1, \"seconds\": 100.5}\n",
                    b = "{\"stage\": \"b\", \"step\": 9, \"seconds\": 7000}\n";
  write_whole_file(path, a + b + "{\"stage\": \"a\", \"st");
  { MetricsLog(path, "a", 1).write({{"step", 2}}); }
  std::vector<nlohmann::json> lines = metrics(folder.path);
  REQUIRE(lines.size() == 3);
  CHECK(lines[2].at("stage") == "a");
  CHECK(lines[2].at("step") == 2);
  CHECK(lines[2].at("seconds") >= 100.5);
  CHECK(lines[2].at("seconds") < 1000);
  { MetricsLog(path, "b", 3).write({{"step", 4}}); }
  lines = metrics(folder.path);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].at("step") == 2);
  CHECK(lines[2].at("stage") == "b");
  CHECK(lines[2].at("seconds") < 1000);  // what was trained beyond step 3 is gone, and its time
}

}  // namespace mg
