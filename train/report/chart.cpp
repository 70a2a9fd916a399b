#include "train/report/chart.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace mg {

namespace {

constexpr double kWidth = 560, kHeight = 270;
constexpr double kLeft = 72, kRight = 24, kTop = 12, kBottom = 46;
constexpr std::size_t kMaxPoints = 300;  // of a line; its band has twice as many

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

struct Frame {
  std::vector<double> x_ticks, y_ticks;
  double x_end = 0;  // the x axis ends with the data, the y axis at a tick

  double x(double value) const {
    const double share = (value - x_ticks.front()) / (x_end - x_ticks.front());
    return kLeft + std::clamp(share, 0.0, 1.0) * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    const double share = (value - y_ticks.front()) / (y_ticks.back() - y_ticks.front());
    return kHeight - kBottom - std::clamp(share, 0.0, 1.0) * (kHeight - kTop - kBottom);
  }
};

// Runs of points that follow one another without a gap.
std::vector<std::vector<ChartPoint>> runs(const std::vector<ChartPoint>& points) {
  std::vector<std::vector<ChartPoint>> all(1);
  for (const ChartPoint& point : points) {
    if (std::isfinite(point.y)) {
      all.back().push_back(point);
    } else if (!all.back().empty()) {
      all.emplace_back();
    }
  }
  if (all.back().empty()) all.pop_back();
  return all;
}

std::string path_point(const Frame& frame, char command, double x, double y) {
  return fmt::format("{}{} {}", command, coordinate(frame.x(x)), coordinate(frame.y(y)));
}

void add_series(Markup& page, const Frame& frame, const ChartSeries& series, std::size_t index) {
  const std::string colour = fmt::format("s{}", index + 1);
  for (const auto& run : runs(series.points)) {
    std::string line, band;
    for (const ChartPoint& point : run) {
      line += path_point(frame, line.empty() ? 'M' : 'L', point.x, point.y);
      band += path_point(frame, band.empty() ? 'M' : 'L', point.x, point.high);
    }
    const bool spread = std::any_of(run.begin(), run.end(), [](const auto& p) { return p.low < p.high; });
    if (spread) {
      for (auto it = run.rbegin(); it != run.rend(); ++it) band += path_point(frame, 'L', it->x, it->low);
      page.add_empty("path", {{"class", "band " + colour}, {"d", band + "Z"}});
    }
    if (run.size() > 1) page.add_empty("path", {{"class", "line " + colour}, {"d", line}});
    if (!series.dots && run.size() > 1) continue;
    for (const ChartPoint& point : run) {
      page.add_empty("circle", {{"class", "dot " + colour},
                                {"cx", coordinate(frame.x(point.x))},
                                {"cy", coordinate(frame.y(point.y))},
                                {"r", "3"}});
    }
  }
}

// A learning rate's ticks all have an exponent or none of them has.
std::string tick_text(const Frame& frame, double tick) {
  const double greatest = std::max(std::abs(frame.y_ticks.front()), std::abs(frame.y_ticks.back()));
  return tick != 0 && greatest < 2e-3 ? exponent_text(tick) : number_text(tick);
}

void add_axes(Markup& page, const Frame& frame, const LineChart& chart) {
  const std::string left = coordinate(kLeft), right = coordinate(kWidth - kRight);
  for (double tick : frame.y_ticks) {
    const double y = frame.y(tick);
    page.add_empty("line", {{"class", tick == frame.y_ticks.front() ? "axis" : "grid"},
                            {"x1", left},
                            {"x2", right},
                            {"y1", coordinate(y)},
                            {"y2", coordinate(y)}});
    page.add("text", {{"class", "tick end"}, {"x", coordinate(kLeft - 8)}, {"y", coordinate(y + 4)}},
             tick_text(frame, tick));
  }
  for (double tick : frame.x_ticks) {
    const double x = frame.x(tick), y = kHeight - kBottom;
    page.add_empty("line", {{"class", "axis"},
                            {"x1", coordinate(x)},
                            {"x2", coordinate(x)},
                            {"y1", coordinate(y)},
                            {"y2", coordinate(y + 4)}});
    page.add("text", {{"class", "tick middle"}, {"x", coordinate(x)}, {"y", coordinate(y + 18)}},
             number_text(tick));
  }
  page.add("text",
           {{"class", "unit middle"},
            {"x", coordinate((kLeft + kWidth - kRight) / 2)},
            {"y", coordinate(kHeight - 8)}},
           chart.x_label);
  const std::string middle = coordinate((kTop + kHeight - kBottom) / 2);
  page.add("text",
           {{"class", "unit middle"},
            {"x", "14"},
            {"y", middle},
            {"transform", fmt::format("rotate(-90 14 {})", middle)}},
           chart.y_label);
}

// What the chart says, for those who do not see it.
std::string described(const LineChart& chart) {
  std::string text;
  for (const ChartSeries& series : chart.series) {
    const ChartPoint *first = nullptr, *last = nullptr;
    Range range;
    for (const ChartPoint& point : series.points) {
      if (!std::isfinite(point.y)) continue;
      if (first == nullptr) first = &point;
      last = &point;
      range.add(point.low);
      range.add(point.high);
    }
    if (first == nullptr) continue;
    text += fmt::format("{}: from {} at {} {} to {} at {} {}, between {} and {}. ", series.name,
                        number_text(first->y), chart.x_label, number_text(first->x), number_text(last->y),
                        chart.x_label, number_text(last->x), number_text(range.low), number_text(range.high));
  }
  return text;
}

void add_legend(Markup& page, const LineChart& chart) {
  const auto legend = page.open("span", {{"class", "legend"}});
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const auto entry = page.open("span");
    {
      const auto key = page.open(
          "svg", {{"viewBox", "0 0 24 8"}, {"width", "24"}, {"height", "8"}, {"aria-hidden", "true"}});
      page.add_empty("path", {{"class", fmt::format("line s{}", i + 1)}, {"d", "M1 4L23 4"}});
      if (chart.series[i].dots) {
        page.add_empty("circle",
                       {{"class", fmt::format("dot s{}", i + 1)}, {"cx", "12"}, {"cy", "4"}, {"r", "3"}});
      }
    }
    page.text(chart.series[i].name);
  }
}

// Nearly all of a band has its place in the chart, but a few outliers do not flatten the rest.
void add_band(Range& y, const ChartSeries& series) {
  std::vector<double> highs;
  for (const ChartPoint& point : series.points) {
    if (std::isfinite(point.y)) highs.push_back(point.high);
  }
  if (highs.empty()) return;
  const auto place = highs.begin() + static_cast<std::ptrdiff_t>((highs.size() - 1) * 97 / 100);
  std::nth_element(highs.begin(), place, highs.end());
  y.add(*place);
}

std::optional<Frame> frame_of(const LineChart& chart) {
  Range x, y;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (!std::isfinite(point.y)) continue;
      x.add(point.x);
      y.add(point.y);
    }
    add_band(y, series);
  }
  if (y.empty()) return std::nullopt;
  if (chart.y_range) {
    y.low = chart.y_range->first;
    y.high = chart.y_range->second;
  } else if (y.low > 0 && y.low < y.high / 2) {
    y.low = 0;
  }
  Frame frame{axis_ticks(x.low, x.high, 6, true), axis_ticks(y.low, y.high, 5)};
  frame.x_end = x.high > frame.x_ticks.front() ? x.high : frame.x_ticks.back();
  std::erase_if(frame.x_ticks, [&](double tick) { return tick > frame.x_end; });
  return frame;
}

}  // namespace

std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points, std::size_t at_most) {
  if (points.size() <= at_most || at_most == 0) return points;
  struct Share {
    double x = 0, y = 0, count = 0, all_x = 0, all = 0;
    Range range;
  };
  std::vector<Share> shares(at_most);
  const double first = points.front().x, width = std::max(points.back().x - first, 1e-300);
  for (const ChartPoint& point : points) {
    const double place = (point.x - first) / width * static_cast<double>(at_most);
    Share& share = shares[std::min(static_cast<std::size_t>(std::max(place, 0.0)), at_most - 1)];
    share.all_x += point.x;
    ++share.all;
    if (!std::isfinite(point.y)) continue;
    share.x += point.x;
    share.y += point.y;
    ++share.count;
    share.range.add(point.low);
    share.range.add(point.high);
  }
  std::vector<ChartPoint> result;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const Share& share : shares) {
    if (share.count > 0) {
      result.push_back({share.x / share.count, share.y / share.count, share.range.low, share.range.high});
    } else if (share.all > 0) {
      result.push_back({share.all_x / share.all, kNan, kNan, kNan});
    }
  }
  return result;
}

std::vector<double> axis_ticks(double low, double high, int steps, bool whole) {
  const double least = std::max({std::abs(low), std::abs(high), 1e-12}) * 1e-6;
  if (high - low < least) {  // one value: room on both sides of it
    const double room = std::max(std::abs(high) * 0.1, 1e-6);
    low -= low >= 0 && low < room ? low : room;
    high += room;
  }
  const double raw = (high - low) / steps, power = std::pow(10.0, std::floor(std::log10(raw)));
  const double mantissa = raw / power;
  const double round = power * (mantissa < 1.5 ? 1 : mantissa < 3.5 ? 2 : mantissa < 7.5 ? 5 : 10);
  const double step = whole ? std::max(round, 1.0) : round;
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

void add_line_chart(Markup& page, const LineChart& wanted) {
  LineChart chart = wanted;
  for (ChartSeries& series : chart.series) series.points = thinned(series.points, kMaxPoints);
  const std::optional<Frame> frame = frame_of(chart);
  if (!frame) return;
  const auto figure = page.open("figure", {{"class", "chart"}});
  {
    const auto caption = page.open("figcaption");
    page.add("strong", chart.title);
    add_legend(page, chart);
  }
  const auto svg = page.open("svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                                     {"role", "img"},
                                     {"aria-labelledby", fmt::format("{0}-title {0}-desc", chart.id)}});
  page.add("title", {{"id", chart.id + "-title"}}, chart.title);
  page.add("desc", {{"id", chart.id + "-desc"}}, described(chart));
  add_axes(page, *frame, chart);
  for (std::size_t i = 0; i < chart.series.size(); ++i) add_series(page, *frame, chart.series[i], i);
}

}  // namespace mg
