#include "train/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <memory>

namespace mg {

namespace {

constexpr double kRedrawSeconds = 0.2, kLineSeconds = 10;

}  // namespace

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::lround(seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
}

std::function<void(std::int64_t, std::int64_t)> progress_callback(std::string title, std::string unit) {
  return [title = std::move(title), unit = std::move(unit), shown = std::shared_ptr<Progress>()](
             std::int64_t done, std::int64_t total) mutable {
    if (!shown) shown = std::make_shared<Progress>(title, total, unit);
    shown->update(done);
  };
}

Progress::Progress(std::string title, std::int64_t total, std::string unit, std::int64_t first)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      first_(first),
      done_(first),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      shown_(start_) {}

Progress::~Progress() {
  if (drawn_ || done_ == total_) show(true);
}

double Progress::elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

double Progress::rate() const { return static_cast<double>(done_ - first_) / std::max(elapsed(), 1e-9); }

void Progress::update(std::int64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const double since = std::chrono::duration<double>(Clock::now() - shown_).count();
  if (since >= (terminal_ ? kRedrawSeconds : kLineSeconds)) show(false);
}

void Progress::show(bool last) {
  shown_ = Clock::now();
  drawn_ = !last;
  const double percent = total_ > 0 ? 100.0 * static_cast<double>(done_) / static_cast<double>(total_) : 100;
  std::string line = fmt::format("{}  {:3.0f} %  {}/{} {}", title_, percent, done_, total_, unit_);
  if (!note_.empty()) line += "  " + note_;
  if (done_ > first_) {
    line += fmt::format("  {:.3g} {}/s", rate(), unit_);
    line += last ? ", took " + duration_text(elapsed())
                 : ", " + duration_text(static_cast<double>(total_ - done_) / rate()) + " left";
  }
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

}  // namespace mg
