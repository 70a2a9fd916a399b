#include "bench/roofline.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "train/report/markup.h"

namespace mg {

namespace {

constexpr double kWidth = 860, kHeight = 520;
constexpr double kLeft = 74, kRight = 20, kTop = 44, kBottom = 52;
constexpr std::size_t kColours = 6;
constexpr const char* kStyle =
    "text{font:12px "
    "system-ui,sans-serif;fill:#1c2128}.soft{fill:#5b6470}.title{font-size:15px;font-weight:600}"
    ".grid{stroke:#dfe2e6}.roof{stroke:#5b6470;stroke-width:1.6;fill:none}"
    "circle{fill-opacity:.75}.s0{fill:#2459c9}.s1{fill:#c2410c}.s2{fill:#0f7b56}.s3{fill:#86198f}.s4{fill:#"
    "b45309}.s5{fill:#0e7490}"
    ".peer{fill:none;stroke:#5b6470}.end{text-anchor:end}.middle{text-anchor:middle}";

// Both axes are logarithmic; ends are powers of ten.
struct Axes {
  double x_low, x_high, y_low, y_high;

  double x(double value) const {
    return kLeft + (std::log10(value) - x_low) / (x_high - x_low) * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    return kHeight - kBottom - (std::log10(value) - y_low) / (y_high - y_low) * (kHeight - kTop - kBottom);
  }
};

Axes axes_of(const std::vector<Result>& results, const Peaks& peaks) {
  double x_low = 0, x_high = 2, y_low = std::log10(peaks.vector_gflops);
  for (const Result& r : results) {
    if (!r.ours || r.flops <= 0) continue;
    x_low = std::min(x_low, std::log10(r.flops / r.bytes));
    x_high = std::max(x_high, std::log10(r.flops / r.bytes));
    y_low = std::min(y_low, std::log10(r.gflops(r.ours->median_ms)));
  }
  return {std::floor(x_low), std::ceil(x_high), std::floor(y_low),
          std::ceil(std::log10(peaks.matrix_gflops) + 0.1)};
}

std::string power_text(double exponent) {
  return exponent >= -2 && exponent <= 5 ? number_text(std::pow(10.0, exponent))
                                         : fmt::format("1e{:.0f}", exponent);
}

void add_axes(Markup& page, const Axes& axes) {
  for (double e = axes.x_low; e <= axes.x_high; ++e) {
    const std::string x = coordinate(axes.x(std::pow(10.0, e)));
    page.add_empty("line", {{"class", "grid"},
                            {"x1", x},
                            {"x2", x},
                            {"y1", coordinate(kTop)},
                            {"y2", coordinate(kHeight - kBottom)}});
    page.add("text", {{"class", "soft middle"}, {"x", x}, {"y", coordinate(kHeight - kBottom + 18)}},
             power_text(e));
  }
  for (double e = axes.y_low; e <= axes.y_high; ++e) {
    const double y = axes.y(std::pow(10.0, e));
    page.add_empty("line", {{"class", "grid"},
                            {"x1", coordinate(kLeft)},
                            {"x2", coordinate(kWidth - kRight)},
                            {"y1", coordinate(y)},
                            {"y2", coordinate(y)}});
    page.add("text", {{"class", "soft end"}, {"x", coordinate(kLeft - 8)}, {"y", coordinate(y + 4)}},
             power_text(e));
  }
  page.add("text",
           {{"class", "soft middle"},
            {"x", coordinate((kLeft + kWidth - kRight) / 2)},
            {"y", coordinate(kHeight - 12)}},
           "FLOP per byte that has to be moved");
  const std::string middle = coordinate((kTop + kHeight - kBottom) / 2);
  page.add("text",
           {{"class", "soft middle"},
            {"x", "16"},
            {"y", middle},
            {"transform", fmt::format("rotate(-90 16 {})", middle)}},
           "GFLOP/s");
}

// From where memory limits to where arithmetic does.
void add_roof(Markup& page, const Axes& axes, double gflops, double gbytes, const std::string& name) {
  const double left = std::pow(10.0, axes.x_low), right = std::pow(10.0, axes.x_high);
  const double lowest = std::pow(10.0, axes.y_low), start = std::max(left, lowest / gbytes);
  const double ridge = std::clamp(gflops / gbytes, left, right);
  page.add_empty("path", {{"class", "roof"},
                          {"d", fmt::format("M{} {}L{} {}L{} {}", coordinate(axes.x(start)),
                                            coordinate(axes.y(start * gbytes)), coordinate(axes.x(ridge)),
                                            coordinate(axes.y(std::min(gflops, ridge * gbytes))),
                                            coordinate(axes.x(right)), coordinate(axes.y(gflops)))}});
  page.add("text",
           {{"class", "soft end"}, {"x", coordinate(kWidth - kRight)}, {"y", coordinate(axes.y(gflops) - 5)}},
           fmt::format("{}: {} GFLOP/s", name, number_text(gflops)));
}

void add_dot(Markup& page, const Axes& axes, const Result& r, const Peaks& peaks, const std::string& kind) {
  const double x = axes.x(r.flops / r.bytes), ms = r.ours->median_ms;
  if (r.peer) {
    page.add_empty("circle", {{"class", "peer"},
                              {"cx", coordinate(x)},
                              {"cy", coordinate(axes.y(r.gflops(r.peer->median_ms)))},
                              {"r", "4"}});
  }
  const auto dot = page.open(
      "circle",
      {{"class", kind}, {"cx", coordinate(x)}, {"cy", coordinate(axes.y(r.gflops(ms)))}, {"r", "4"}});
  page.add("title", fmt::format("{} {} {}: {:.3f} ms, {} GFLOP/s, {} GB/s, {:.0f} % of the roofline",
                                r.operation, r.name, r.direction, ms, number_text(r.gflops(ms)),
                                number_text(r.gbytes(ms)), 100 * r.share_of_roofline(peaks, ms)));
}

}  // namespace

std::string roofline_svg(const std::string& title, const std::vector<Result>& results, const Peaks& peaks) {
  Markup page;
  const Axes axes = axes_of(results, peaks);
  {
    const auto svg = page.open("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
                                       {"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                                       {"role", "img"}});
    page.add("title", title);
    page.add("style", kStyle);
    page.add_empty("rect", {{"width", "100%"}, {"height", "100%"}, {"fill", "#ffffff"}});
    page.add("text", {{"class", "title"}, {"x", coordinate(kLeft)}, {"y", "24"}}, title);
    add_axes(page, axes);
    if (peaks.matrix_gflops > peaks.vector_gflops)
      add_roof(page, axes, peaks.matrix_gflops, peaks.gbytes, "tensor cores");
    add_roof(page, axes, peaks.vector_gflops, peaks.gbytes, "multiply-adds");
    std::vector<std::string> directions;
    for (const Result& r : results) {
      if (!r.ours || r.flops <= 0) continue;
      auto at = std::find(directions.begin(), directions.end(), r.direction);
      if (at == directions.end()) at = directions.insert(at, r.direction);
      add_dot(page, axes, r, peaks,
              fmt::format("s{}", static_cast<std::size_t>(at - directions.begin()) % kColours));
    }
    std::vector<std::pair<std::string, std::string>> legend;
    for (std::size_t i = 0; i < std::min(directions.size(), kColours); ++i)
      legend.emplace_back(fmt::format("s{}", i), directions[i]);
    if (std::any_of(results.begin(), results.end(), [](const Result& r) { return r.peer.has_value(); }))
      legend.emplace_back("peer", "another library");
    for (std::size_t i = 0; i < legend.size(); ++i) {
      const double y = kTop + 16 + 18 * static_cast<double>(i);
      page.add_empty(
          "circle",
          {{"class", legend[i].first}, {"cx", coordinate(kLeft + 14)}, {"cy", coordinate(y)}, {"r", "4"}});
      page.add("text", {{"x", coordinate(kLeft + 26)}, {"y", coordinate(y + 4)}}, legend[i].second);
    }
  }
  return page.str();
}

}  // namespace mg
