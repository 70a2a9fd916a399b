#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "train/progress.h"
#include "train/report/chart.h"
#include "train/report/sections.h"

namespace mg {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ChartSeries train_series(const StageCurves& stage, const std::string& name, double TrainPoint::*figure) {
  ChartSeries series{.name = name, .points = {}};
  series.points.reserve(stage.train.size());
  for (const TrainPoint& point : stage.train) {
    const double y = point.*figure;
    series.points.push_back({static_cast<double>(point.step), y, y, y});
  }
  return series;
}

ChartSeries eval_series(const std::vector<EvalPoint>& points, const std::string& name,
                        double EvalPoint::*figure, std::int64_t EvalPoint::*place) {
  ChartSeries series{.name = name, .points = {}, .dots = points.size() <= 60};
  for (const EvalPoint& point : points) {
    if (!std::isfinite(point.*figure)) continue;
    const double y = point.*figure;
    series.points.push_back({static_cast<double>(point.*place), y, y, y});
  }
  return series;
}

void add_charts(Markup& page, const StageCurves& stage, const std::string& id) {
  const auto charts = page.open("div", {{"class", "charts"}});
  LineChart loss{
      .id = id + "-loss", .title = "Loss", .x_label = "step", .y_label = "loss", .series = {}, .y_range = {}};
  loss.series.push_back(train_series(stage, "training", &TrainPoint::loss));
  LineChart accuracy{.id = id + "-accuracy",
                     .title = "Accuracy",
                     .x_label = "epoch",
                     .y_label = "accuracy, %",
                     .series = {},
                     .y_range = std::pair{0.0, 100.0}};
  for (const auto& [split, points] : stage.eval) {
    if (accuracy.series.size() > 2) break;  // as many as a chart tells apart
    ChartSeries eval_loss = eval_series(points, split, &EvalPoint::loss, &EvalPoint::step);
    if (!eval_loss.points.empty()) loss.series.push_back(std::move(eval_loss));
    accuracy.series.push_back(eval_series(points, split + " top-1", &EvalPoint::top1, &EvalPoint::epoch));
    // With five classes or fewer top-5 is always 100 and says nothing.
    if (std::any_of(points.begin(), points.end(), [](const EvalPoint& p) { return p.top5 < 100; })) {
      accuracy.series.push_back(eval_series(points, split + " top-5", &EvalPoint::top5, &EvalPoint::epoch));
    }
  }
  add_line_chart(page, loss);
  add_line_chart(page, accuracy);
  struct Single {
    const char *name, *title, *unit;
    double TrainPoint::*figure;
  };
  for (const Single& one : {Single{"lr", "Learning rate", "learning rate", &TrainPoint::learning_rate},
                            Single{"norm", "Gradient norm", "gradient norm", &TrainPoint::gradient_norm}}) {
    add_line_chart(page, {.id = fmt::format("{}-{}", id, one.name),
                          .title = one.title,
                          .x_label = "step",
                          .y_label = one.unit,
                          .series = {train_series(stage, one.unit, one.figure)},
                          .y_range = {}});
  }
}

double mean_speed(const StageCurves& stage) {
  double sum = 0, count = 0;
  for (const TrainPoint& point : stage.train) {
    if (!std::isfinite(point.clips_per_second)) continue;
    sum += point.clips_per_second;
    ++count;
  }
  return count > 0 ? sum / count : kNan;
}

double last_finite_loss(const StageCurves& stage) {
  for (auto point = stage.train.rbegin(); point != stage.train.rend(); ++point) {
    if (std::isfinite(point->loss)) return point->loss;
  }
  return kNan;
}

constexpr const char* kDash = "\xE2\x80\x93";

std::string or_dash(double value) { return std::isfinite(value) ? number_text(value) : kDash; }

std::string duration_or_dash(double seconds) {
  return std::isfinite(seconds) ? duration_text(seconds) : kDash;
}

std::string best_evaluation(const StageCurves& stage) {
  const EvalPoint* best = nullptr;
  std::string best_split;
  for (const auto& [split, points] : stage.eval) {
    for (const EvalPoint& point : points) {
      if (!std::isfinite(point.top1) || (best != nullptr && point.top1 <= best->top1)) continue;
      best = &point;
      best_split = split;
    }
  }
  if (best == nullptr) return kDash;
  return fmt::format("{} ({}, epoch {})", percent_text(best->top1), best_split, best->epoch);
}

// On a narrow screen each row is a block, and CSS shows a figure's head beside it.
void add_stage_table(Markup& page, const RunData& run) {
  const auto table = page.open("table", {{"class", "stack"}});
  page.add("caption", "Stages");
  constexpr std::array kHeads{"steps",     "epochs",          "time",         "first loss",
                              "last loss", "best top-1 seen", "clips/s, mean"};
  {
    const auto head = page.open("thead");
    const auto row = page.open("tr");
    page.add("th", {{"scope", "col"}}, "stage");
    for (const char* name : kHeads) page.add("th", {{"scope", "col"}}, name);
  }
  const auto body = page.open("tbody");
  for (const StageCurves& stage : run.stages) {
    const bool trained = !stage.train.empty();
    const std::array<std::string, kHeads.size()> figures{
        trained ? grouped(stage.train.back().step) : "0",
        trained ? grouped(stage.train.back().epoch) : "0",
        trained ? duration_or_dash(stage.train.back().seconds) : kDash,
        or_dash(trained ? stage.train.front().loss : kNan),
        or_dash(last_finite_loss(stage)),
        best_evaluation(stage),
        or_dash(mean_speed(stage))};
    const auto row = page.open("tr");
    page.add("th", {{"scope", "row"}}, stage.stage);
    for (std::size_t i = 0; i < figures.size(); ++i) {
      page.add("td", {{"data-head", kHeads[i]}}, figures[i]);
    }
  }
}

void add_lost_steps(Markup& page, const StageCurves& stage) {
  std::int64_t lost = 0, first = 0;
  for (const TrainPoint& point : stage.train) {
    if (std::isfinite(point.loss)) continue;
    if (lost++ == 0) first = point.step;
  }
  if (lost == 0) return;
  page.add("p", {{"class", "warning"}},
           fmt::format("The loss was not finite at {} of the recorded steps, first at step {}.",
                       grouped(lost), grouped(first)));
}

}  // namespace

void add_training(Markup& page, const RunData& run) {
  const auto section = page.open("section", {{"id", "training"}});
  page.add("h2", "Training");
  if (run.stages.empty()) {
    add_absence(page,
                run.has_metrics ? "metrics.jsonl records no step yet." : "The run has no metrics.jsonl.");
    return;
  }
  add_stage_table(page, run);
  for (std::size_t i = 0; i < run.stages.size(); ++i) {
    page.add("h3", fmt::format("Stage: {}", run.stages[i].stage));
    add_lost_steps(page, run.stages[i]);
    add_charts(page, run.stages[i], fmt::format("stage{}", i));
  }
}

}  // namespace mg
