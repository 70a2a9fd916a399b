// From options to a Bench, and what every command writes of the machine.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>

#include "bench/bench.h"
#include "bench/commands.h"
#include "bench/launch_report.h"
#include "bench/peaks.h"

namespace mg {

struct Setup {
  std::unique_ptr<LaunchReport> report;  // null: time is measured
  std::unique_ptr<Bench> bench;
};
// CudaError or Error(usage) where the options ask for what this machine has not.
Setup make_setup(const BenchOptions& options);

std::string machine_text(Bench& bench);  // "avx512, 2 threads, f32"
nlohmann::ordered_json machine_json(Bench& bench, const Peaks& peaks);
void write_file(const std::string& path, const std::string& text);  // nothing where path is empty

}  // namespace mg
