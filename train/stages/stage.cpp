#include "train/stages/stage.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>

#include "engine/not_finite.h"
#include "train/interrupt.h"
#include "train/metrics_log.h"
#include "train/progress.h"
#include "train/report/live_report.h"

namespace mg {

namespace {

constexpr int kPrefetchedSteps = 3;
constexpr int kSkippedStepsAllowed = 10;

void print_line(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

}  // namespace

StepPlanner::StepPlanner(std::int64_t samples, std::int64_t batch, std::int64_t epochs, std::uint64_t seed,
                         const std::string& stage)
    : samples_(samples),
      steps_per_epoch_(std::max<std::int64_t>(1, (samples + batch / 2) / batch)),
      epochs_(epochs),
      seed_(seed),
      site_(random_site(stage + ".order")) {}

StepPlan StepPlanner::plan(std::int64_t step) {
  const std::int64_t epoch = step / steps_per_epoch_, k = step % steps_per_epoch_;
  if (epoch != shuffled_epoch_) {  // Fisher and Yates
    order_.resize(static_cast<std::size_t>(samples_));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    const RandomKey key{seed_, static_cast<std::uint32_t>(epoch), site_};
    for (std::size_t i = order_.size(); i > 1; --i) {
      const Philox4 bits = key.draw(0, static_cast<std::uint32_t>(i));
      const std::uint64_t wide = std::uint64_t{bits.v[0]} << 32 | bits.v[1];
      std::swap(order_[i - 1], order_[wide % i]);
    }
    shuffled_epoch_ = epoch;
  }
  const std::int64_t begin = samples_ * k / steps_per_epoch_, end = samples_ * (k + 1) / steps_per_epoch_;
  return {step, epoch, {order_.begin() + begin, order_.begin() + end}};
}

namespace {

// A step whose work is given to the device, and what it will tell.
struct StartedStep {
  std::int64_t step, epoch;
  double lr;
  Late<float> loss;
  Late<AdamWOutcome> outcome;
};

class StageRun {
 public:
  StageRun(Stage& stage, const StageOptions& options, const RunDirectory& run, Context& context)
      : stage_(stage),
        options_(options),
        run_(run),
        context_(context),
        planner_(options.samples, options.batch, options.epochs, context.seed, stage.name()),
        watch_(options.watch),
        best_(run.checkpoints(stage.name()), run.config().flag("checkpoint.best")),
        first_(restore()),
        log_(run.file("metrics.jsonl"), stage.name(), first_),
        report_(run.path()) {}

  void train() {
    if (first_ == planner_.steps() || watch_.stops()) return;
    run_steps();
    if (watch_.stops()) {
      print_line(fmt::format("{}: ended after epoch {}: the loss has not fallen for {} epochs", stage_.name(),
                             epoch_, options_.watch.stop_after));
    }
    if (all_skipped_ > 0) {
      print_line(fmt::format("{}: {} steps were skipped: their loss or gradients were not finite",
                             stage_.name(), all_skipped_));
    }
    const std::string best = best_.summary(last_figures_);
    if (!best.empty()) print_line(fmt::format("{}: {}", stage_.name(), best));
  }

 private:
  void run_steps() {
    const std::int64_t total = planner_.steps();
    InterruptGuard guard;
    Progress progress(stage_.name(), total * options_.samples / planner_.steps_per_epoch(), stage_.unit(),
                      first_ * options_.samples / planner_.steps_per_epoch());
    std::int64_t requested = first_;
    for (std::int64_t step = first_; step < total && !watch_.stops(); ++step) {
      while (requested < std::min(total, step + kPrefetchedSteps))
        stage_.prefetch(planner_.plan(requested++));
      start_step(planner_.plan(step));
      // A device is given the next step while this one runs: what it found is read one step late.
      if (context_.on_device()) finish_steps(1, progress);
      const bool epoch_ends = (step + 1) % planner_.steps_per_epoch() == 0;
      const std::int64_t every = run_.config().integer("checkpoint.every");
      const bool due = every > 0 ? (step + 1) % every == 0 : epoch_ends;
      const int signal = InterruptGuard::signal();
      if (!context_.on_device() || epoch_ends || due || signal != 0) finish_steps(0, progress);
      if (epoch_ends) evaluate(step + 1);
      progress.update((step + 1) * options_.samples / planner_.steps_per_epoch(),
                      fmt::format("epoch {}/{}  loss {:.4f}{}", step / planner_.steps_per_epoch() + 1,
                                  options_.epochs, last_loss_, val_note_));
      const bool ends = step + 1 == total || watch_.stops();
      if (ends) check_learned(step + 1 - first_);
      if (due || ends || signal != 0) save(step + 1);
      if (epoch_ends) report_.refresh();
      if (signal != 0 && !ends) {
        throw Error(signal == SIGINT ? ExitCode::interrupted : ExitCode::terminated,
                    "{} stopped at step {} of {} and saved: add --resume to continue", stage_.name(),
                    step + 1, total);
      }
    }
  }

  std::int64_t restore() {
    auto found = latest_checkpoint(run_.checkpoints(stage_.name()), print_line);
    if (!found) return 0;
    const std::string source = found->folder.string();
    load_tensors(stage_.model(), found->data.model, source);
    load_tensors(named_tensors(stage_.optimizer()), found->data.training, source);
    const std::int64_t step = found->data.state.value("step", std::int64_t{-1});
    if (step < 0 || step > planner_.steps() ||
        found->data.state.value("steps", std::int64_t{-1}) != planner_.steps()) {
      throw Error(ExitCode::checkpoint, "{}: expected a checkpoint of {} steps, got {}", source,
                  planner_.steps(), found->data.state.dump());
    }
    watch_.restore(found->data.state.value("watch", nlohmann::json()), source);
    best_.restore(found->data.state.value("best", nlohmann::json()), source);
    if (step < planner_.steps() && !watch_.stops()) {
      print_line(fmt::format("{}: continuing at step {} of {}", stage_.name(), step, planner_.steps()));
    }
    return step;
  }

  void start_step(const StepPlan& plan) {
    const auto warmup =
        static_cast<std::int64_t>(std::llround(options_.warmup * static_cast<double>(planner_.steps())));
    const double factor =
        schedule_factor(options_.schedule, plan.step, planner_.steps(), warmup) * watch_.lr_factor();
    context_.step = static_cast<std::uint32_t>(plan.step);
    Late<float> loss = stage_.forward_backward(plan);
    started_.push_back({plan.step, plan.epoch, stage_.optimizer().groups().front().lr * factor,
                        std::move(loss), stage_.optimizer().step(context_, factor)});
  }

  // Takes what started steps found, but for the last `left` of them.
  void finish_steps(std::size_t left, const Progress& progress) {
    while (started_.size() > left) {
      finish(started_.front(), progress);
      started_.pop_front();
    }
  }

  void finish(StartedStep& plan, const Progress& progress) {
    const double loss = static_cast<double>(plan.loss.get());
    const AdamWOutcome result = plan.outcome.get();
    watch_.step_ends(loss);
    last_loss_ = loss;
    const bool finite = result.skipped == 0 && std::isfinite(loss);
    skipped_ = finite ? 0 : skipped_ + 1;
    all_skipped_ += finite ? 0 : 1;
    if (skipped_ == kSkippedStepsAllowed) {
      throw Error(ExitCode::failure,
                  "{}: step {}: the loss or the gradients of the last {} steps were not finite: try a "
                  "smaller learning rate, or {}.max_norm",
                  stage_.name(), plan.step, kSkippedStepsAllowed, stage_.name());
    }
    nlohmann::ordered_json line{{"kind", "train"},
                                {"step", plan.step + 1},
                                {"epoch", plan.epoch + 1},
                                {"loss", loss},
                                {"lr", plan.lr},
                                {"gradient_norm", result.gradient_norm},
                                {"clips_per_second", progress.rate()}};
    if (result.skipped != 0) line["skipped"] = true;
    log_.write(std::move(line));
  }

  // After an epoch, of which steps are done.
  void evaluate(std::int64_t steps) {
    epoch_ = steps / planner_.steps_per_epoch();
    last_figures_ = stage_.evaluate(epoch_ - 1, epoch_ == options_.epochs);
    watch_.epoch_ends(last_figures_ ? last_figures_->loss : std::nullopt);
    if (!last_figures_) return;
    nlohmann::ordered_json line{{"kind", "eval"},
                                {"step", steps},
                                {"epoch", epoch_},
                                {"split", "val"},
                                {"top1", last_figures_->top1},
                                {"top5", last_figures_->top5}};
    if (last_figures_->loss) line["loss"] = *last_figures_->loss;
    log_.write(std::move(line));
    val_note_ = fmt::format("  val top-1 {:.1f} %", last_figures_->top1);
    best_.offer(*last_figures_, steps, epoch_, [&] {
      return CheckpointData{usable(stage_.model(), steps), {}, state(steps)};
    });
  }

  nlohmann::json state(std::int64_t step) const {
    return {{"stage", stage_.name()},
            {"step", step},
            {"steps", planner_.steps()},
            {"epoch", step / planner_.steps_per_epoch()}};
  }

  // To be saved: a checkpoint that nobody can go on from must not take the place of one that works.
  TensorMap usable(const std::vector<NamedTensor>& tensors, std::int64_t step) const {
    TensorMap map = to_tensor_map(tensors);
    refuse_unusable(unusable_tensors(map), ExitCode::failure,
                    fmt::format("{}: step {} is not saved: the training diverged", stage_.name(), step),
                    "Earlier checkpoints stay as they are. Try a smaller learning rate");
    return map;
  }

  // A stage that changed nothing is not done.
  void check_learned(std::int64_t steps) const {
    if (all_skipped_ < steps) return;
    throw Error(
        ExitCode::failure,
        "{}: not one of {} steps had a finite loss and finite gradients: nothing was learned. Try a smaller "
        "learning rate, and look at the clips",
        stage_.name(), steps);
  }

  void save(std::int64_t step) {
    const auto folder = run_.checkpoints(stage_.name());
    nlohmann::json all = state(step);
    all["stopped_early"] = watch_.stops();
    all["watch"] = watch_.state();
    all["best"] = best_.state();
    save_checkpoint(
        folder / fmt::format("step_{}", step),
        {usable(stage_.model(), step), usable(named_tensors(stage_.optimizer()), step), std::move(all)});
    prune_checkpoints(folder, run_.config().small("checkpoint.keep"));
  }

  Stage& stage_;
  const StageOptions& options_;
  const RunDirectory& run_;
  Context& context_;
  StepPlanner planner_;
  LossWatch watch_;
  BestCheckpoint best_;
  std::int64_t first_;
  MetricsLog log_;
  LiveReport report_;
  std::deque<StartedStep> started_;
  double last_loss_ = 0;
  int skipped_ = 0;                           // in a row, up to now
  std::int64_t all_skipped_ = 0;              // of this process
  std::int64_t epoch_ = 0;                    // the last that ended
  std::optional<StageFigures> last_figures_;  // after it
  std::string val_note_;                      // the val split's last figure
};

bool complete(const CheckpointData& data) {
  return data.state.value("step", std::int64_t{-1}) == data.state.value("steps", std::int64_t{-2}) ||
         data.state.value("stopped_early", false);
}

}  // namespace

void run_stage(Stage& stage, const StageOptions& options, const RunDirectory& run, Context& context) {
  StageRun(stage, options, run, context).train();
}

CheckpointData finished_stage(const RunDirectory& run, const std::string& stage, WhichCheckpoint which) {
  auto found = latest_checkpoint(run.checkpoints(stage), print_line);
  if (!found) {
    throw Error(ExitCode::checkpoint,
                "{}: stage '{}' has no checkpoint: train it first (mgtrain train --stage {})",
                run.path().string(), stage, stage);
  }
  if (!complete(found->data)) {
    throw Error(
        ExitCode::checkpoint, "{}: stage '{}' stopped at step {} of {}: continue it with --resume first",
        run.path().string(), stage, found->data.state.value("step", 0), found->data.state.value("steps", 0));
  }
  if (which == WhichCheckpoint::last) return std::move(found->data);
  return best_checkpoint(run.checkpoints(stage), found->data.state.value("best", nlohmann::json()));
}

bool is_finished(const RunDirectory& run, const std::string& stage) {
  const auto found = latest_checkpoint(run.checkpoints(stage), print_line);
  return found && complete(found->data);
}

nlohmann::ordered_json checkpoint_json(const CheckpointData& data, WhichCheckpoint which) {
  nlohmann::ordered_json json{{"which", which == WhichCheckpoint::best ? "best" : "last"},
                              {"step", data.state.value("step", std::int64_t{0})}};
  if (data.state.contains("epoch")) json["epoch"] = data.state["epoch"];
  return json;
}

}  // namespace mg
