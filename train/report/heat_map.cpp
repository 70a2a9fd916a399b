#include "train/report/heat_map.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mg {

namespace {

constexpr std::size_t kMaxLabel = 30;  // characters; the whole label is in the cell's title and the table
constexpr std::size_t kMaxWithCounts = 40;  // classes: beyond, the counts are in the titles alone
constexpr double kCharacter = 6.6;          // about the width of one at the size of the labels
constexpr double kStrong = 0.72;            // from this share on, a cell's text is light

struct Layout {
  double cell, left, top, size;
};

Layout layout_of(const Classification& c) {
  std::size_t longest = 1;
  for (const std::string& label : c.labels) longest = std::max(longest, character_count(label));
  const auto classes = static_cast<double>(c.labels.size());
  const double text = kCharacter * static_cast<double>(std::min(longest, kMaxLabel)) + 14;
  const double cell = std::clamp(640 / classes, 14.0, 54.0);
  // Column labels stand at 50 degrees: cos 50 = 0.64, sin 50 = 0.77.
  return {.cell = cell, .left = text + 18, .top = text * 0.77 + 30, .size = cell * classes};
}

void add_labels(Markup& page, const Layout& at, const Classification& c) {
  page.add("text", {{"class", "unit middle"}, {"x", coordinate(at.left + at.size / 2)}, {"y", "13"}},
           "predicted");
  const std::string middle = coordinate(at.top + at.size / 2);
  page.add("text",
           {{"class", "unit middle"},
            {"x", "12"},
            {"y", middle},
            {"transform", fmt::format("rotate(-90 12 {})", middle)}},
           "true");
  for (std::size_t k = 0; k < c.labels.size(); ++k) {
    const double centre = (static_cast<double>(k) + 0.5) * at.cell;
    const std::string label = shortened(c.labels[k], kMaxLabel);
    page.add("text",
             {{"class", "tick end"}, {"x", coordinate(at.left - 8)}, {"y", coordinate(at.top + centre + 4)}},
             label);
    const std::string x = coordinate(at.left + centre), y = coordinate(at.top - 7);
    page.add("text",
             {{"class", "tick"}, {"x", x}, {"y", y}, {"transform", fmt::format("rotate(-50 {} {})", x, y)}},
             label);
  }
}

void add_cell(Markup& page, const Layout& at, const Classification& c, std::size_t row, std::size_t column,
              std::int64_t row_sum) {
  const std::int64_t count = c.confusion[row][column];
  const double share = static_cast<double>(count) / static_cast<double>(row_sum);
  const double x = at.left + static_cast<double>(column) * at.cell,
               y = at.top + static_cast<double>(row) * at.cell;
  const auto group = page.open("g");
  page.add("title", fmt::format("{} predicted as {}: {} of {} ({:.1f} %)", c.labels[row], c.labels[column],
                                grouped(count), grouped(row_sum), 100 * share));
  page.add_empty("rect", {{"class", "heat"},
                          {"x", coordinate(x)},
                          {"y", coordinate(y)},
                          {"width", coordinate(at.cell)},
                          {"height", coordinate(at.cell)},
                          {"fill-opacity", fmt::format("{:.3f}", 0.06 + 0.94 * share)}});
  if (c.labels.size() > kMaxWithCounts) return;
  page.add("text",
           {{"class", share >= kStrong ? "count strong" : "count"},
            {"x", coordinate(x + at.cell / 2)},
            {"y", coordinate(y + at.cell / 2 + 4)}},
           std::to_string(count));
}

void add_grid(Markup& page, const Layout& at, std::size_t classes) {
  std::string lines;
  for (std::size_t k = 0; k <= classes; ++k) {
    const double offset = static_cast<double>(k) * at.cell;
    lines += fmt::format("M{} {}h{}M{} {}v{}", coordinate(at.left), coordinate(at.top + offset),
                         coordinate(at.size), coordinate(at.left + offset), coordinate(at.top),
                         coordinate(at.size));
  }
  page.add_empty("path", {{"class", "grid"}, {"d", lines}});
}

}  // namespace

void add_confusion(Markup& page, const std::string& id, const std::string& title, const Classification& c) {
  if (c.labels.empty()) return;
  const Layout at = layout_of(c);
  // Room for the last column's slanted label, right of the grid.
  const double width = at.left + at.size + (at.top - 30) * 0.84, height = at.top + at.size + 4;
  const auto figure = page.open("figure", {{"class", "confusion"}});
  page.add("figcaption", title);
  const auto scroll = page.open("div", {{"class", "wide"}});
  const auto svg =
      page.open("svg", {{"viewBox", fmt::format("0 0 {} {}", coordinate(width), coordinate(height))},
                        {"width", coordinate(width)},
                        {"role", "img"},
                        {"aria-labelledby", fmt::format("{0}-title {0}-desc", id)}});
  page.add("title", {{"id", id + "-title"}}, title);
  page.add(
      "desc", {{"id", id + "-desc"}},
      fmt::format("{} true classes down, predicted classes across; a cell's colour is its share of the row. "
                  "{} of {} samples lie on the diagonal.",
                  c.labels.size(), percent_text(c.top1), grouped(c.n)));
  for (std::size_t row = 0; row < c.labels.size(); ++row) {
    const auto& counts = c.confusion[row];
    const std::int64_t sum = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    for (std::size_t column = 0; column < counts.size(); ++column) {
      if (counts[column] > 0) add_cell(page, at, c, row, column, sum);
    }
  }
  add_grid(page, at, c.labels.size());
  add_labels(page, at, c);
}

}  // namespace mg
