#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/error.h"

namespace mg {

namespace {

constexpr std::int64_t kTop = 5;
constexpr double kNormal95 = 1.959963984540054;  // 97.5 % quantile of the normal distribution

double percent(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

float ranked(float score) { return std::isfinite(score) ? score : -std::numeric_limits<float>::infinity(); }

struct Answer {
  std::int64_t rank = 0;  // of the true class, from 0
  std::size_t predicted = 0;
};

// The first class of the highest score is predicted, but never the true one where another has its score: the
// diagonal of the confusion must agree with top-1.
Answer answer(std::span<const float> scores, std::size_t target) {
  Answer result{.predicted = target};
  float best = ranked(scores[target]);
  for (std::size_t k = 0; k < scores.size(); ++k) {
    if (k == target) continue;
    const float score = ranked(scores[k]);
    if (score >= ranked(scores[target])) ++result.rank;
    if (score > best || (score == best && result.predicted == target)) {
      best = score;
      result.predicted = k;
    }
  }
  return result;
}

// E. B. Wilson (1927): unlike the normal interval it stays within 0 .. 100 and has a width at 0 and at 100.
void set_interval(Classification& c, std::int64_t right) {
  c.top1_high = 100;
  if (c.n == 0) return;
  const double n = static_cast<double>(c.n), p = static_cast<double>(right) / n, z2 = kNormal95 * kNormal95;
  const double centre = p + z2 / (2 * n);
  const double half = kNormal95 * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  c.top1_low = std::max(0.0, 100 * (centre - half) / (1 + z2 / n));
  c.top1_high = std::min(100.0, 100 * (centre + half) / (1 + z2 / n));
}

void set_classes(Classification& c) {
  std::int64_t occurring = 0, counted = 0;
  for (std::size_t k = 0; k < c.labels.size(); ++k) {
    const auto& row = c.confusion[k];
    const std::int64_t n = std::accumulate(row.begin(), row.end(), std::int64_t{0}), right = row[k];
    std::int64_t predicted = 0;
    for (const auto& other : c.confusion) predicted += other[k];
    c.classes.push_back({.label = c.labels[k],
                         .n = n,
                         .recall = percent(right, n),
                         .precision = percent(right, predicted),
                         .f1 = percent(2 * right, n + predicted)});
    occurring += n > 0 ? 1 : 0;
    counted += n + predicted > 0 ? 1 : 0;
    c.mean_class += c.classes.back().recall;
    c.macro_f1 += c.classes.back().f1;
  }
  if (occurring > 0) c.mean_class /= static_cast<double>(occurring);
  if (counted > 0) c.macro_f1 /= static_cast<double>(counted);
}

void set_constant(Classification& c) {
  if (c.n == 0) return;
  std::vector<const ClassFigures*> by_count;
  for (const ClassFigures& figures : c.classes) by_count.push_back(&figures);
  std::stable_sort(by_count.begin(), by_count.end(), [](auto* a, auto* b) { return a->n > b->n; });
  std::int64_t covered = 0;
  for (std::size_t i = 0; i < by_count.size() && i < static_cast<std::size_t>(kTop); ++i) {
    covered += by_count[i]->n;
  }
  c.constant_label = by_count[0]->label;
  c.constant_top1 = percent(by_count[0]->n, c.n);
  c.constant_top5 = percent(covered, c.n);
}

// Labels come from users: a control character must not reach a terminal.
std::string printable(std::string label) {
  for (char& c : label) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return label;
}

}  // namespace

Classification classify(std::span<const float> scores, std::span<const std::int32_t> targets,
                        const std::vector<std::string>& labels) {
  const std::size_t classes = labels.size();
  expect(scores.size() == targets.size() * classes,
         "classify: expected {} scores ({} samples x {} classes), got {}", targets.size() * classes,
         targets.size(), classes, scores.size());
  Classification c;
  c.n = static_cast<std::int64_t>(targets.size());
  c.labels = labels;
  c.confusion.assign(classes, std::vector<std::int64_t>(classes));
  std::int64_t right = 0, among_first = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const std::int32_t target = targets[i];
    expect(target >= 0 && static_cast<std::size_t>(target) < classes,
           "classify: sample {}: expected a class of 0 .. {}, got {}", i,
           static_cast<std::int64_t>(classes) - 1, target);
    const Answer a = answer(scores.subspan(i * classes, classes), static_cast<std::size_t>(target));
    right += a.rank == 0 ? 1 : 0;
    among_first += a.rank < kTop ? 1 : 0;
    ++c.confusion[static_cast<std::size_t>(target)][a.predicted];
    c.predicted.push_back(static_cast<std::int32_t>(a.predicted));
  }
  c.top1 = percent(right, c.n);
  c.top5 = percent(among_first, c.n);
  set_interval(c, right);
  set_classes(c);
  set_constant(c);
  return c;
}

bool shows_top5(const Classification& c) { return c.labels.size() > kTop; }

nlohmann::ordered_json to_json(const Classification& c) {
  nlohmann::ordered_json json{{"n", c.n},
                              {"top1", c.top1},
                              {"top5", c.top5},
                              {"mean_class", c.mean_class},
                              {"macro_f1", c.macro_f1},
                              {"top1_interval", {c.top1_low, c.top1_high}},
                              {"labels", c.labels},
                              {"confusion", c.confusion}};
  json["per_class"] = nlohmann::ordered_json::array();
  for (const ClassFigures& figures : c.classes) {
    json["per_class"].push_back({{"label", figures.label},
                                 {"n", figures.n},
                                 {"recall", figures.recall},
                                 {"precision", figures.precision},
                                 {"f1", figures.f1}});
  }
  json["constant"] = {{"label", c.constant_label}, {"top1", c.constant_top1}, {"top5", c.constant_top5}};
  return json;
}

std::string to_table(const Classification& c, bool per_class) {
  std::string text =
      fmt::format("{:<22}{:>10}  {:>18}\n", fmt::format("{} samples", c.n), "this", "constant predictor");
  text += fmt::format("{:<22}{:>8.2f} %  {:>16.2f} %   {}\n", "top-1", c.top1, c.constant_top1,
                      c.n > 0 ? fmt::format("always \"{}\"", printable(c.constant_label)) : "");
  text += fmt::format("{:<22}{:>10}\n", "  95 % interval",
                      fmt::format("{:.1f}-{:.1f} %", c.top1_low, c.top1_high));
  if (shows_top5(c)) {
    text += fmt::format("{:<22}{:>8.2f} %  {:>16.2f} %\n", "top-5", c.top5, c.constant_top5);
  }
  text += fmt::format("{:<22}{:>8.2f} %\n", "mean class recall", c.mean_class);
  text += fmt::format("{:<22}{:>8.2f} %\n", "macro F1", c.macro_f1);
  if (!per_class) return text;
  std::size_t width = 5;
  for (const std::string& label : c.labels) width = std::max(width, label.size());
  text += fmt::format("\n{:<{}}  {:>7}{:>10}{:>11}{:>8}\n", "class", width, "n", "recall", "precision", "F1");
  for (const ClassFigures& figures : c.classes) {
    text += fmt::format("{:<{}}  {:>7}{:>10.2f}{:>11.2f}{:>8.2f}\n", printable(figures.label), width,
                        figures.n, figures.recall, figures.precision, figures.f1);
  }
  return text;
}

}  // namespace mg
