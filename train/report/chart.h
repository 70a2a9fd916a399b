// Line charts as inline SVG. Colours come from the page's CSS by class, so that they follow light and dark.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/report/markup.h"

namespace mg {

struct ChartPoint {
  double x = 0, y = 0;
  double low = 0, high = 0;  // of the points that this one stands for
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  // by x
  bool dots = false;               // mark each point
};

struct LineChart {
  std::string id;  // unique in the page: titles refer to it
  std::string title, x_label, y_label;
  std::vector<ChartSeries> series;  // at most 4
  // The y axis: else from the data, and from 0 where that is near.
  std::optional<std::pair<double, double>> y_range;
};

// At most so many points: each stands for an equal share of the x axis and is the mean of its points, between
// the least and the greatest of them. A share with nothing finite in it is not a number: a gap in the line.
std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points, std::size_t at_most);

// Round numbers (1, 2 or 5 times a power of ten apart) that cover [low, high] in about so many steps;
// with whole, not between whole numbers.
std::vector<double> axis_ticks(double low, double high, int steps, bool whole = false);

// A figure with its legend; nothing where no series has a finite point.
void add_line_chart(Markup& page, const LineChart& chart);

}  // namespace mg
