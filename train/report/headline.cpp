#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "train/report/sections.h"

namespace mg {

namespace {

int split_order(const std::string& split) { return split == "test" ? 0 : split == "val" ? 1 : 2; }

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

void add_card(Markup& page, const std::string& title, const Result& result) {
  const Classification& c = result.figures;
  const auto card = page.open("article", {{"class", "card"}});
  page.add("h3", title);
  page.add("p", {{"class", "scope"}}, scope_text(result));
  {
    const auto figure = page.open("p", {{"class", "big"}});
    page.text(fmt::format("{:.2f}", c.top1));
    page.add("small", is_emotion(result) ? " % accuracy" : " % top-1");
  }
  std::vector<Mark> marks{{"chance", chance(c, 1)}, {"constant", c.constant_top1}};
  if (result.optimum) marks.push_back({"best", result.optimum->split});
  add_meter(page, c.top1, marks);
  const auto facts = page.open("dl");
  add_fact(page, "", "95 % interval", fmt::format("{:.1f} to {:.1f} %", c.top1_low, c.top1_high));
  if (is_emotion(result)) {
    if (result.optimum) add_fact(page, "best", "best possible", percent_text(result.optimum->split));
    add_fact(page, "constant", "constant predictor", percent_text(c.constant_top1));
    add_fact(page, "chance", "chance", percent_text(chance(c, 1)));
  } else {
    add_fact(page, "", "top-5", percent_text(c.top5));
    add_fact(page, "constant", "constant predictor",
             fmt::format("{:.2f} / {:.2f} %", c.constant_top1, c.constant_top5));
    add_fact(page, "chance", "chance", fmt::format("{:.2f} / {:.2f} %", chance(c, 1), chance(c, 5)));
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

// What a reader asks first of configuration and environment: "preset paper, device cpu".
std::string setting_text(const RunData& run) {
  std::string text;
  const auto add = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, value);
  };
  for (const ConfigEntry& entry : run.config) {
    if (entry.section.empty() && entry.key == "preset") add("preset", entry.value);
  }
  for (const auto& [key, value] : run.environment) {
    if (key == "device" || key == "processor") add(key, value);
  }
  return text;
}

}  // namespace

std::string mode_title(const std::string& mode) {
  if (mode == "similarity") return "Gestures by similarity to their captions";
  if (mode == "classifier") return "Gestures by classifier";
  if (mode == "emotion") return "Emotion";
  return mode;
}

bool is_emotion(const Result& result) { return result.mode == "emotion"; }

std::string scope_text(const Result& result) {
  const char* what = is_emotion(result) ? "sample" : "clip";
  return fmt::format("{}, {} {}{}", result.split, grouped(result.figures.n), what,
                     result.figures.n == 1 ? "" : "s");
}

const Result* chosen_result(const RunData& run, const std::string& mode) {
  const Result* chosen = nullptr;
  for (const Result& result : run.results) {
    if (result.mode != mode || result.shuffled) continue;
    if (chosen == nullptr || split_order(result.split) < split_order(chosen->split)) chosen = &result;
  }
  return chosen;
}

void add_absence(Markup& page, std::string_view text) { page.add("p", {{"class", "absent"}}, text); }

void add_headline(Markup& page, const RunData& run) {
  const auto section = page.open("header");
  page.add("p", {{"class", "kicker"}}, "Micro-gesture training run");
  page.add("h1", run.name);
  {
    const auto lead = page.open("p", {{"class", "lead"}});
    page.text(what_was_trained(run));
    const std::string setting = setting_text(run);
    if (!setting.empty()) page.text(fmt::format(" With {}.", setting));
  }
  const auto cards = page.open("div", {{"class", "cards"}});
  bool any = false;
  for (const char* mode : {"similarity", "classifier", "emotion"}) {
    const Result* result = chosen_result(run, mode);
    if (result == nullptr) continue;
    any = true;
    add_card(page, mode_title(mode), *result);
  }
  if (!any) add_absence(page, "No results yet: the folder results/ holds none.");
}

}  // namespace mg
