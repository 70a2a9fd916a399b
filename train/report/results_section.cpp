#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "train/report/heat_map.h"
#include "train/report/sections.h"

namespace mg {

namespace {

constexpr std::size_t kConfusionsListed = 6;

void add_heads(Markup& page, std::initializer_list<const char*> names) {
  const auto head = page.open("thead");
  const auto row = page.open("tr");
  for (const char* name : names) page.add("th", {{"scope", "col"}}, name);
}

// A percentage with a small bar; a dash where it has no meaning.
void add_bar_cell(Markup& page, double value, bool defined) {
  const auto cell = page.open("td", {{"class", "bar"}});
  if (!defined) {
    page.add("span", {{"class", "number"}}, "\xE2\x80\x93");
    page.add("span", {{"class", "no track"}}, "");
    return;
  }
  page.add("span", {{"class", "number"}}, fmt::format("{:.1f}", value));
  const auto track = page.open("span", {{"class", "track"}, {"aria-hidden", "true"}});
  page.add("span", {{"style", fmt::format("width:{}%", coordinate(std::clamp(value, 0.0, 100.0)))}}, "");
}

void add_class_table(Markup& page, const Classification& c) {
  const auto scroll = page.open("div", {{"class", "wide"}});
  const auto table = page.open("table", {{"class", "classes"}});
  page.add("caption", "Per class, in percent");
  add_heads(page, {"class", "n", "recall", "precision", "F1"});
  const auto body = page.open("tbody");
  for (std::size_t k = 0; k < c.classes.size(); ++k) {
    const ClassFigures& figures = c.classes[k];
    std::int64_t predicted = 0;
    for (const auto& row : c.confusion) predicted += row[k];
    const auto row = page.open("tr");
    page.add("th", {{"scope", "row"}, {"class", "label"}}, figures.label);
    page.add("td", grouped(figures.n));
    add_bar_cell(page, figures.recall, figures.n > 0);
    add_bar_cell(page, figures.precision, predicted > 0);
    add_bar_cell(page, figures.f1, figures.n + predicted > 0);
  }
}

void add_most_confused(Markup& page, const Classification& c) {
  struct Pair {
    std::int64_t count;
    std::size_t truth, predicted;
  };
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < c.confusion.size(); ++i) {
    for (std::size_t k = 0; k < c.confusion.size(); ++k) {
      if (i != k && c.confusion[i][k] > 0) pairs.push_back({c.confusion[i][k], i, k});
    }
  }
  if (pairs.empty()) return;
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.count > b.count; });
  pairs.resize(std::min(pairs.size(), kConfusionsListed));
  const auto block = page.open("div");
  page.add("h4", "Most often confused");
  const auto list = page.open("ol", {{"class", "confused"}});
  for (const Pair& pair : pairs) {
    const auto& row = c.confusion[pair.truth];
    const auto item = page.open("li");
    page.add("b", {{"class", "label"}}, c.labels[pair.truth]);
    page.text(" taken for ");
    page.add("b", {{"class", "label"}}, c.labels[pair.predicted]);
    page.text(fmt::format(": {} of {}", grouped(pair.count),
                          grouped(std::accumulate(row.begin(), row.end(), std::int64_t{0}))));
  }
}

void add_summary(Markup& page, const Result& result) {
  const Classification& c = result.figures;
  const auto scroll = page.open("div", {{"class", "wide"}});
  const auto table = page.open("table", {{"class", "summary"}});
  page.add("caption", fmt::format("{} of {}", scope_text(result), result.manifest));
  add_heads(page, {"figure, %", "this run", "constant predictor"});
  const auto body = page.open("tbody");
  const auto line = [&](std::string_view name, const std::string& value, const std::string& constant) {
    const auto row = page.open("tr");
    page.add("th", {{"scope", "row"}}, name);
    page.add("td", value);
    page.add("td", {{"class", "label"}}, constant);
  };
  const auto two = [](double value) { return fmt::format("{:.2f}", value); };
  line(shows_top5(c) ? "top-1" : "accuracy", two(c.top1), two(c.constant_top1));
  line("95 % interval", fmt::format("{:.2f} to {:.2f}", c.top1_low, c.top1_high), "");
  if (shows_top5(c)) line("top-5", two(c.top5), two(c.constant_top5));
  line("mean recall of the classes", two(c.mean_class), "");
  line("macro F1", two(c.macro_f1), "");
  if (result.optimum) {
    line("best possible on this split", two(result.optimum->split), "");
    line("best possible, expected", two(result.optimum->expected), "");
  }
  line("always answers", "", c.constant_label);
}

void add_level(Markup& page, const char* css_class, const std::string& name, double value) {
  const auto row = page.open("tr");
  page.add("th", {{"scope", "row"}}, name);
  const auto cell = page.open("td", {{"class", fmt::format("bar {}", css_class)}});
  page.add("span", {{"class", "number"}}, fmt::format("{:.2f}", value));
  const auto track = page.open("span", {{"class", "track"}, {"aria-hidden", "true"}});
  page.add("span", {{"style", fmt::format("width:{}%", coordinate(std::clamp(value, 0.0, 100.0)))}}, "");
}

void add_levels(Markup& page, const Result& result) {
  const auto scroll = page.open("div", {{"class", "wide"}});
  const auto table = page.open("table", {{"class", "levels"}});
  page.add("caption", fmt::format("Accuracy between guessing and the best possible, in percent ({})",
                                  scope_text(result)));
  add_heads(page, {"reader", "accuracy"});
  const auto body = page.open("tbody");
  const Classification& c = result.figures;
  if (result.optimum) {
    add_level(page, "best", "best possible, with the true gestures", result.optimum->split);
    add_level(page, "best", "best possible, expected over all splits", result.optimum->expected);
  }
  add_level(page, "ours", "this run", c.top1);
  add_level(page, "constant", "constant predictor", c.constant_top1);
  if (!c.labels.empty()) add_level(page, "chance", "chance", 100 / static_cast<double>(c.labels.size()));
}

void add_result(Markup& page, const Result& result, const std::string& id) {
  page.add("h3", fmt::format("{} \xE2\x80\x93 {}", mode_title(result.mode), scope_text(result)));
  if (is_emotion(result)) add_levels(page, result);
  {
    const auto pair = page.open("div", {{"class", "pair"}});
    add_summary(page, result);
    add_most_confused(page, result.figures);
  }
  if (result.figures.n == 0) {
    add_absence(page, "There were no samples to score.");
    return;
  }
  add_confusion(page, id, fmt::format("Confusion, {}: {}", mode_title(result.mode), scope_text(result)),
                result.figures);
  add_class_table(page, result.figures);
}

// Shuffled results are in a section of their own.
template <class Wanted>
int add_results(Markup& page, const RunData& run, Wanted wanted) {
  int count = 0;
  for (std::size_t i = 0; i < run.results.size(); ++i) {
    const Result& result = run.results[i];
    if (result.shuffled || !wanted(result)) continue;
    add_result(page, result, fmt::format("confusion{}", i));
    ++count;
  }
  return count;
}

const Result* ordered_counterpart(const RunData& run, const Result& shuffled) {
  for (const Result& result : run.results) {
    if (!result.shuffled && result.mode == shuffled.mode && result.split == shuffled.split &&
        result.manifest == shuffled.manifest) {
      return &result;
    }
  }
  return nullptr;
}

}  // namespace

void add_gestures(Markup& page, const RunData& run) {
  const auto section = page.open("section", {{"id", "gestures"}});
  page.add("h2", "Gestures");
  if (add_results(page, run, [](const Result& result) { return !is_emotion(result); }) == 0) {
    add_absence(page, "The folder results/ holds no gesture result.");
  }
}

void add_emotion(Markup& page, const RunData& run) {
  const auto section = page.open("section", {{"id", "emotion"}});
  page.add("h2", "Emotion");
  if (std::any_of(run.results.begin(), run.results.end(), [](const Result& r) { return r.optimum; })) {
    page.add("p",
             "Emotion is read from the gestures of a sample. The best possible accuracy is what a reader "
             "reaches who knows the true gestures and how they come about: where gestures do not determine "
             "the emotion, it is below 100 %.");
  }
  if (add_results(page, run, is_emotion) == 0) {
    add_absence(page, "The folder results/ holds no emotion result.");
  }
}

void add_shuffling(Markup& page, const RunData& run) {
  if (std::none_of(run.results.begin(), run.results.end(), [](const Result& r) { return r.shuffled; }))
    return;
  const auto section = page.open("section", {{"id", "shuffling"}});
  page.add("h2", "Frames in order and shuffled");
  page.add(
      "p",
      "Shuffling a clip's frames keeps what they show and destroys the motion. The drop is what the model "
      "draws from the order of frames.");
  const auto scroll = page.open("div", {{"class", "wide"}});
  const auto table = page.open("table");
  page.add("caption", "Top-1, in percent");
  add_heads(page, {"result", "in order", "shuffled", "drop", "constant predictor"});
  const auto body = page.open("tbody");
  for (const Result& result : run.results) {
    if (!result.shuffled) continue;
    const Result* ordered = ordered_counterpart(run, result);
    const double shuffled = result.figures.top1;
    const auto row = page.open("tr");
    page.add("th", {{"scope", "row"}}, fmt::format("{}: {}", mode_title(result.mode), scope_text(result)));
    page.add("td", ordered != nullptr ? fmt::format("{:.2f}", ordered->figures.top1) : "\xE2\x80\x93");
    page.add("td", fmt::format("{:.2f}", shuffled));
    page.add("td",
             ordered != nullptr ? fmt::format("{:.2f}", ordered->figures.top1 - shuffled) : "\xE2\x80\x93");
    page.add("td", fmt::format("{:.2f}", result.figures.constant_top1));
  }
}

}  // namespace mg
