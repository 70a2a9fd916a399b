// The commands of mgbench.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mg {

struct BenchOptions {
  std::vector<std::string> what;  // operations; empty: all
  std::string device = "cpu", precision, isa, json, svg;
  bool tf32 = false, cpu_clock = false;
  int threads = 0;
  long width = 64, batch = 0, frames = 16, side = 112;
  double seconds = 0.2;
  std::string only, timeline;                          // of model
  std::filesystem::path manifest, out = "runs/bench";  // of data
  char** arguments = nullptr;                          // the program's own
};

void bench_ops(const BenchOptions& options);
void bench_model(const BenchOptions& options);
void bench_data(const BenchOptions& options);

}  // namespace mg
