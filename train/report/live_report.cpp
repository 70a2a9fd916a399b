#include "train/report/live_report.h"

#include <cstdio>
#include <exception>

#include "train/report/report.h"

namespace mg {

namespace {

constexpr std::chrono::seconds kApart{5};

}  // namespace

void LiveReport::refresh() {
  if (failed_ || Clock::now() - written_ < kApart) return;
  try {
    write_report(run_, true);
  } catch (const std::exception& e) {
    failed_ = true;
    std::fprintf(stderr, "the report is not kept up to date: %s\n", e.what());
  }
  written_ = Clock::now();
}

}  // namespace mg
