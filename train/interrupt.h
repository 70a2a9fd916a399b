// SIGINT and SIGTERM as a question that long work asks between two steps, so that it can save before it ends.
#pragma once

#include <csignal>

namespace mg {

// While an object lives, the first signal is only noted; a second one ends the process at once.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // The signal that came, or 0.
  static int signal();

 private:
  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

}  // namespace mg
