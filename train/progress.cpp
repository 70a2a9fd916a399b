#include "train/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace mg {

namespace {

constexpr double kRedrawSeconds = 0.2, kLineSeconds = 10;
constexpr std::size_t kUsualColumns = 80;

bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && kind != nullptr && *kind != 0 && std::string_view(kind) != "dumb";
}

// The longest beginning of text in at most so many columns; its width goes to `width`.
std::string beginning(const std::string& text, std::size_t columns, std::size_t& width) {
  width = 0;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  std::size_t at = 0;
  while (at < text.size()) {
    utf8proc_int32_t code = 0;
    const auto size = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code);
    const auto wide = size > 0 ? static_cast<std::size_t>(utf8proc_charwidth(code)) : 1;
    if (width + wide > columns) break;
    width += wide;
    at += size > 0 ? static_cast<std::size_t>(size) : 1;
  }
  return text.substr(0, at);
}

std::size_t width_of(const std::string& text) {
  std::size_t width = 0;
  beginning(text, std::string::npos, width);
  return width;
}

}  // namespace

std::string fitted_line(std::vector<ProgressPart> parts, std::size_t columns) {
  for (;;) {
    std::string line;
    for (const ProgressPart& part : parts) line += (line.empty() ? "" : "  ") + part.text;
    if (width_of(line) <= columns) return line;
    const auto most = std::max_element(parts.begin(), parts.end(),
                                       [](const auto& a, const auto& b) { return a.spare < b.spare; });
    std::size_t width = 0;
    if (most == parts.end() || most->spare == 0) return beginning(line, columns, width);
    parts.erase(most);
  }
}

std::size_t terminal_columns() {
  std::size_t columns = 0;
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  if (const char* text = std::getenv("COLUMNS")) {
    const int wanted = std::atoi(text);
    if (wanted > 0)
      columns = columns == 0 ? static_cast<std::size_t>(wanted)
                             : std::min(columns, static_cast<std::size_t>(wanted));
  }
  return columns == 0 ? kUsualColumns : columns;
}

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
      terminal_(is_terminal()),
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

std::vector<ProgressPart> Progress::parts(bool last) const {
  const double percent = total_ > 0 ? 100.0 * static_cast<double>(done_) / static_cast<double>(total_) : 100;
  std::vector<ProgressPart> all{{title_}, {fmt::format("{:3.0f} %", percent)}};
  int spare = 2;
  for (std::size_t at = 0; at < note_.size();) {
    const std::size_t end = std::min(note_.find("  ", at), note_.size());
    all.push_back({note_.substr(at, end - at), spare++});
    at = end + 2;
  }
  all.push_back({fmt::format("{}/{} {}", done_, total_, unit_), spare});
  if (done_ <= first_) return all;
  all.push_back(
      {rate() < 1000 ? fmt::format("{:.3g} {}/s", rate(), unit_) : fmt::format("{:.0f} {}/s", rate(), unit_),
       spare + 1});
  all.push_back({last ? "took " + duration_text(elapsed())
                      : duration_text(static_cast<double>(total_ - done_) / rate()) + " left",
                 1});
  return all;
}

void Progress::show(bool last) {
  shown_ = Clock::now();
  drawn_ = !last;
  if (terminal_) {
    // One column less: a full line would move the cursor on.
    const std::string line = fitted_line(parts(last), terminal_columns() - 1);
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", fitted_line(parts(last), std::string::npos).c_str());
  }
  std::fflush(stderr);
}

}  // namespace mg
