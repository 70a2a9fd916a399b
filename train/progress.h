// How far long work is, on stderr: one line that is redrawn on a terminal and never wider than it, plain
// lines every few seconds elsewhere (also where TERM is dumb or not set). There are no colors.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace mg {

// The parts of a line of progress in their order, and how soon each is left out where there is no room: the
// highest goes first, 0 never.
struct ProgressPart {
  std::string text;
  int spare = 0;
};
// The parts with two blanks between them, in at most so many columns of a terminal: without those that can be
// spared, and at last cut.
std::string fitted_line(std::vector<ProgressPart> parts, std::size_t columns);
// The columns of the terminal on stderr, or COLUMNS where that says fewer; 80 where neither is known.
std::size_t terminal_columns();

class Progress {
 public:
  // unit: what is counted, "clips". first: how much was done before (a resumed run), which no time counts
  // for.
  Progress(std::string title, std::int64_t total, std::string unit, std::int64_t first = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // note: what else to show, such as the loss; parts with two blanks between them, the dearest first.
  void update(std::int64_t done, const std::string& note = "");
  double rate() const;  // units a second since the start

 private:
  using Clock = std::chrono::steady_clock;
  void show(bool last);
  std::vector<ProgressPart> parts(bool last) const;
  double elapsed() const;

  std::string title_, unit_, note_;
  std::int64_t total_, first_, done_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_, shown_;
};

// A Progress as a callback (done, total); it is shown from the first call until the last copy goes.
std::function<void(std::int64_t done, std::int64_t total)> progress_callback(std::string title,
                                                                             std::string unit);

// "3 s", "2 min 5 s", "1 h 12 min".
std::string duration_text(double seconds);

}  // namespace mg
