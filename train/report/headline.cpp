#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "train/progress.h"
#include "train/report/sections.h"

namespace mg {

namespace {

struct Mark {
  std::string css_class;
  double percent;
};

// A bar from 0 to 100 % with marks on it. The figures stand beside it as text.
void add_meter(Markup& page, double value, const std::vector<Mark>& marks) {
  const auto svg = page.open("svg", {{"class", "meter"},
                                     {"viewBox", "0 0 100 8"},
                                     {"preserveAspectRatio", "none"},
                                     {"aria-hidden", "true"}});
  page.add_empty("rect", {{"class", "track"}, {"x", "0"}, {"y", "2"}, {"width", "100"}, {"height", "4"}});
  page.add_empty("rect", {{"class", "value"},
                          {"x", "0"},
                          {"y", "2"},
                          {"width", coordinate(std::clamp(value, 0.0, 100.0))},
                          {"height", "4"}});
  for (const Mark& mark : marks) {
    page.add_empty("rect", {{"class", mark.css_class},
                            {"x", coordinate(std::clamp(mark.percent, 0.6, 99.4) - 0.6)},
                            {"y", "0"},
                            {"width", "1.2"},
                            {"height", "8"}});
  }
}

void add_fact(Markup& page, const char* key_class, std::string_view name, const std::string& value) {
  const auto row = page.open("div");
  {
    const auto term = page.open("dt");
    if (*key_class != '\0')
      page.add("span", {{"class", fmt::format("key {}", key_class)}, {"aria-hidden", "true"}}, "");
    page.text(name);
  }
  page.add("dd", value);
}

// What guessing among so many classes gets.
double chance(const Classification& c, double guesses) {
  const auto classes = static_cast<double>(c.labels.size());
  return classes > 0 ? 100 * std::min(guesses, classes) / classes : 0;
}

std::string two_figures(const Classification& c, double top1, double top5) {
  return shows_top5(c) ? fmt::format("{:.2f} / {:.2f} %", top1, top5) : percent_text(top1);
}

void add_card(Markup& page, const Result& result) {
  const Classification& c = result.figures;
  const auto card = page.open("article", {{"class", "card"}});
  page.add("h3", mode_title(result.mode));
  page.add("p", {{"class", "scope"}}, scope_text(result));
  {
    const auto figure = page.open("p", {{"class", "big"}});
    page.text(fmt::format("{:.2f}", c.top1));
    page.add("small", shows_top5(c) ? " % top-1" : " % accuracy");
  }
  std::vector<Mark> marks{{"chance", chance(c, 1)}, {"constant", c.constant_top1}};
  if (result.optimum) marks.push_back({"best", result.optimum->split});
  add_meter(page, c.top1, marks);
  const auto facts = page.open("dl");
  add_fact(page, "", "95 % interval", fmt::format("{:.1f} to {:.1f} %", c.top1_low, c.top1_high));
  if (shows_top5(c)) add_fact(page, "", "top-5", percent_text(c.top5));
  if (result.optimum) add_fact(page, "best", "best possible", percent_text(result.optimum->split));
  add_fact(page, "constant", "constant predictor", two_figures(c, c.constant_top1, c.constant_top5));
  add_fact(page, "chance", "chance", two_figures(c, chance(c, 1), chance(c, 5)));
}

// The figures of a split that no model reaches by looking, in words.
void add_baselines(Markup& page, const Result& result) {
  const Classification& c = result.figures;
  if (c.n == 0 || c.labels.empty()) return;
  const auto line = page.open("p", {{"class", "note"}});
  page.text(
      fmt::format("{} on {}: chance is what guessing blindly among the {} {} gets, {}. The constant "
                  "predictor does not look either: it always answers ",
                  is_emotion(result) ? "Emotions" : "Gestures", result.split, c.labels.size(),
                  is_emotion(result) ? "emotions" : "gestures", percent_text(chance(c, 1))));
  page.add("span", {{"class", "label"}}, fmt::format("\xE2\x80\x9C{}\xE2\x80\x9D", c.constant_label));
  page.text(fmt::format(", the most frequent one, and is right in {}.", percent_text(c.constant_top1)));
  if (shows_top5(c)) {
    page.text(" Top-5 counts a sample as right if its label is among the five best answers.");
  }
}

// The results of one split: a card each, and once for gestures and once for emotions what guessing gets.
void add_split(Markup& page, const RunData& run, const std::string& split) {
  page.add("h2", {{"class", "split"}}, fmt::format("On the {} split", split));
  std::vector<const Result*> shown;
  for (const Result& result : run.results) {
    if (!result.shuffled && result.split == split) shown.push_back(&result);
  }
  {
    const auto cards = page.open("div", {{"class", "cards"}});
    for (const Result* result : shown) add_card(page, *result);
  }
  for (const bool emotion : {false, true}) {
    const auto first = std::find_if(shown.begin(), shown.end(),
                                    [&](const Result* result) { return is_emotion(*result) == emotion; });
    if (first != shown.end()) add_baselines(page, **first);
  }
}

std::string what_was_trained(const RunData& run) {
  std::string text;
  for (const StageCurves& stage : run.stages) {
    std::int64_t steps = 0, epochs = 0;
    if (!stage.train.empty()) {
      steps = stage.train.back().step;
      epochs = stage.train.back().epoch;
    }
    text += fmt::format("{}{} (to epoch {}, step {})", text.empty() ? "Trained: " : ", ", stage.stage,
                        grouped(epochs), grouped(steps));
  }
  return text.empty() ? "Nothing was trained in this run yet." : text + ".";
}

// "5 min 42 s (contrastive 5 min 36 s, classifier 6 s)"; empty where no stage says.
std::string duration_of(const RunData& run) {
  std::string stages;
  double sum = 0;
  int count = 0;
  for (const StageCurves& stage : run.stages) {
    if (stage.train.empty() || !std::isfinite(stage.train.back().seconds)) continue;
    const double seconds = stage.train.back().seconds;
    sum += seconds;
    stages += fmt::format("{}{} {}", count++ > 0 ? ", " : "", stage.stage, duration_text(seconds));
  }
  if (count == 0) return "";
  return count == 1 ? duration_text(sum) : fmt::format("{} ({})", duration_text(sum), stages);
}

std::string environment_text(const RunData& run, std::string_view key) {
  for (const auto& [name, value] : run.environment) {
    if (name == key) return value;
  }
  return "";
}

// "576 clips of 12 gestures, 24 people, 52 recordings"
std::string size_text(const SplitSize& size) {
  std::string text = fmt::format("{} clips of {} gestures", grouped(size.clips), grouped(size.classes));
  if (size.people > 0) text += fmt::format(", {} people", grouped(size.people));
  return text + fmt::format(", {} recordings", grouped(size.recordings));
}

// What a reader asks first: when, how long, on what.
void add_facts(Markup& page, const RunData& run) {
  const auto facts = page.open("dl", {{"class", "facts"}});
  const auto add = [&](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    page.add("dt", name);
    page.add("dd", value);
  };
  add("started", environment_text(run, "started"));
  add("training took", duration_of(run));
  for (const SplitSize& size : run.data) add(size.split.empty() ? "no split" : size.split, size_text(size));
  for (const char* key : {"preset", "seed"}) {
    for (const ConfigEntry& entry : run.config) {
      if (entry.section.empty() && entry.key == key) add(key, entry.value);
    }
  }
  for (const char* key : {"device", "processor", "threads"}) add(key, environment_text(run, key));
}

}  // namespace

std::string mode_title(const std::string& mode) {
  if (mode == "similarity") return "Gestures by similarity to their captions";
  if (mode == "zero-shot") return "Gestures that training lacked, by similarity";
  if (mode == "classifier") return "Gestures by classifier";
  if (mode == "emotion") return "Emotion";
  return mode;
}

bool is_emotion(const Result& result) { return result.mode == "emotion"; }

std::string scope_text(const Result& result) {
  const char* what = is_emotion(result) ? "sample" : "clip";
  std::string text = fmt::format("{}, {} {}{}", result.split, grouped(result.figures.n), what,
                                 result.figures.n == 1 ? "" : "s");
  if (result.checkpoint) {
    text += fmt::format(", {} checkpoint (epoch {})", result.checkpoint->which, result.checkpoint->epoch);
  }
  return text;
}

std::vector<std::string> splits_of(const RunData& run) {
  std::vector<std::string> splits;
  for (const Result& result : run.results) {
    if (!result.shuffled && std::find(splits.begin(), splits.end(), result.split) == splits.end()) {
      splits.push_back(result.split);
    }
  }
  const auto place = [](const std::string& split) { return split == "test" ? 0 : split == "val" ? 1 : 2; };
  std::stable_sort(splits.begin(), splits.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return splits;
}

void add_absence(Markup& page, std::string_view text) { page.add("p", {{"class", "absent"}}, text); }

void add_headline(Markup& page, const RunData& run) {
  const auto section = page.open("header");
  page.add("p", {{"class", "kicker"}}, "Micro-gesture training run");
  page.add("h1", run.name);
  page.add("p", {{"class", "lead"}}, what_was_trained(run));
  add_facts(page, run);
  for (const std::string& split : splits_of(run)) add_split(page, run, split);
  if (splits_of(run).empty()) add_absence(page, "No results yet: the folder results/ holds none.");
}

}  // namespace mg
