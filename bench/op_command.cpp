#include <fmt/core.h>

#include <algorithm>

#include "bench/commands.h"
#include "bench/roofline.h"
#include "bench/setup.h"
#include "bench/tables.h"

namespace mg {

namespace {

void write_json(const std::string& path, Bench& bench, const Peaks& peaks, const std::vector<Result>& all) {
  nlohmann::ordered_json json = machine_json(bench, peaks);
  json["results"] = nlohmann::ordered_json::array();
  for (const Result& r : all) json["results"].push_back(to_json(r, peaks));
  write_file(path, json.dump(2) + "\n");
}

}  // namespace

void bench_ops(const BenchOptions& options) {
  const Setup setup = make_setup(options);
  Bench& bench = *setup.bench;
  Peaks peaks = measure_peaks(bench, bench.counting);
  fmt::print("{}\n", machine_text(bench));
  if (bench.counting) {
    fmt::print("a virtual GPU: counts in place of times, in shapes with few rows\n");
  } else {
    fmt::print("peaks: {:.1f} GFLOP/s of multiply-adds, {:.1f} of matrix products, {:.1f} GB/s\n",
               peaks.vector_gflops, peaks.matrix_gflops, peaks.gbytes);
  }
  std::vector<Result> all;
  for (const Operation& operation : operations()) {
    const auto& what = options.what;
    if (!what.empty() && std::find(what.begin(), what.end(), operation.name) == what.end()) continue;
    fmt::print("\n{}: {}\n", operation.name, operation.about);
    print_head(bench.counting);
    bench.rehearsing = bench.counting && !options.svg.empty();
    const auto results =
        measure(bench, operation, setup.report.get(), [&](const Result& r) { print_result(r, peaks); });
    if (results.size() > 3) print_totals(results, peaks);
    all.insert(all.end(), results.begin(), results.end());
    write_json(options.json, bench, peaks, all);  // what is stopped leaves what it has
  }
  if (!bench.counting) peaks = best_of(peaks, measure_peaks(bench));
  write_json(options.json, bench, peaks, all);
  const std::string title =
      machine_text(bench) + (bench.counting ? ": a rehearsal, its times mean nothing" : "");
  if (!options.svg.empty()) write_file(options.svg, roofline_svg(title, all, peaks));
}

}  // namespace mg
