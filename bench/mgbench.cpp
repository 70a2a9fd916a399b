// mgbench: how fast the operations of this engine are, and how near to what the machine can do.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/fma_peak.h"
#include "bench/op_bench.h"
#include "engine/error.h"
#include "engine/file.h"

namespace mg {

namespace {

struct Options {
  std::string what = "conv", isa, json;
  int threads = 0;
  std::int64_t width = 64;
  Effort effort;
};

Isa isa_named(const std::string& name) {
  std::string supported;
  for (Isa isa : supported_isas()) {
    if (name == to_string(isa)) return isa;
    supported += fmt::format(" {}", to_string(isa));
  }
  throw Error(ExitCode::usage, "--isa {}: this machine runs:{}", name, supported);
}

double rate(const Timing& timing, double ms) { return timing.flops / ms / 1e6; }

void print_cell(double flops, double median_ms, double best_ms, double peak) {
  const double median = flops / median_ms / 1e6, best = flops / best_ms / 1e6;
  fmt::print(" |{:>10.2f} {:>7.1f} {:>4.0f}% {:>4.0f}%", median_ms, median, 100 * median / peak,
             100 * best / peak);
}

// Times, rates and percentages are of the median run; the last percentage is of the best one, which tells
// most where others use the cores too.
void print_table(const std::vector<Row>& rows, double peak) {
  fmt::print("{:<10}{:>4} {:>4} {:>8} {:>6}", "layer", "C", "K", "rows", "GFLOP");
  for (const Timing& timing : rows.at(0).timings)
    fmt::print(" |{:>24} best", timing.direction + ": ms, GF/s, %");
  fmt::print("\n");
  std::vector<Timing> totals(rows.at(0).timings.size());
  for (const Row& row : rows) {
    fmt::print("{:<10}{} {:>6.3f}", row.name, row.shape, row.timings[0].flops / 1e9);
    for (std::size_t i = 0; i < row.timings.size(); ++i) {
      const Timing& timing = row.timings[i];
      print_cell(timing.flops, timing.median_ms, timing.best_ms, peak);
      totals[i].flops += row.uses * timing.flops;
      totals[i].median_ms += row.uses * timing.median_ms;
      totals[i].best_ms += row.uses * timing.best_ms;
    }
    fmt::print("\n");
  }
  fmt::print("{:<28} {:>6.2f}", "all layers, as often as used", totals[0].flops / 1e9);
  for (const Timing& total : totals) print_cell(total.flops, total.median_ms, total.best_ms, peak);
  fmt::print("\n");
}

nlohmann::ordered_json to_json(const std::vector<Row>& rows, const Options& options, const CpuStream& stream,
                               double peak) {
  nlohmann::ordered_json json{{"operation", options.what},
                              {"isa", to_string(stream.isa())},
                              {"threads", stream.threads()},
                              {"clock", options.effort.clock == BenchClock::wall ? "wall" : "cpu"},
                              {"peak_gflops", peak}};
  if (options.what == "conv") json["width"] = options.width;
  json["results"] = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    for (const Timing& timing : row.timings) {
      json["results"].push_back({{"layer", row.name},
                                 {"uses", row.uses},
                                 {"direction", timing.direction},
                                 {"flop", timing.flops},
                                 {"median_ms", timing.median_ms},
                                 {"best_ms", timing.best_ms},
                                 {"runs", timing.runs},
                                 {"gflops", rate(timing, timing.median_ms)},
                                 {"percent_of_peak", 100 * rate(timing, timing.median_ms) / peak}});
    }
  }
  return json;
}

void bench_ops(const Options& options) {
  CpuStream stream(options.threads, options.isa.empty() ? supported_isas().back() : isa_named(options.isa));
  if (options.effort.clock == BenchClock::cpu && stream.threads() != 1) {
    throw Error(ExitCode::usage, "--clock cpu measures one thread: add --threads 1");
  }
  double peak = fma_peak(stream, options.effort.clock);
  std::vector<Row> rows;
  if (options.what == "conv") {
    for (const ConvCase& test : r2plus1d_cases(options.width))
      rows.push_back(run_case(test, stream, options.effort));
  } else {
    for (const LinearCase& test : distilbert_cases()) rows.push_back(run_case(test, stream, options.effort));
  }
  peak = std::max(
      peak,
      fma_peak(stream, options.effort.clock));  // once more, in case others used the cores at the beginning
  fmt::print("{}, {} thread{}: peak of a multiply-add loop {:.1f} GFLOP/s\n", to_string(stream.isa()),
             stream.threads(), stream.threads() == 1 ? "" : "s", peak);
  print_table(rows, peak);
  if (options.json.empty()) return;
  FileWriter file(options.json);
  file.write(to_json(rows, options, stream, peak).dump(2) + "\n");
  file.commit();
}

}  // namespace

}  // namespace mg

int main(int argc, char** argv) {
  CLI::App app{"mgbench times this engine's operations and compares them with the machine's peak.",
               "mgbench"};
  app.require_subcommand(1);
  app.footer("Example:    mgbench op conv --threads 2 --json conv.json");
  mg::Options options;
  CLI::App* op = app.add_subcommand(
      "op", "Time one operation in the shapes it has in training: median and best of runs");
  op->add_option("operation", options.what,
                 "conv: R(2+1)D-18, one clip of 16 x 112 x 112; linear: DistilBERT, 32 x 16 tokens")
      ->check(CLI::IsMember({"conv", "linear"}))
      ->capture_default_str();
  op->add_option("--threads", options.threads, "threads; 0 takes every core")->check(CLI::Range(0, 1024));
  op->add_option("--isa", options.isa, "portable, avx2 or avx512; the widest unless given");
  op->add_option("--width", options.width,
                 "channels of R(2+1)D's first layer: 64, or 16 as in the preset mini")
      ->check(CLI::Range(8, 256))
      ->capture_default_str();
  op->add_option("--seconds", options.effort.seconds, "at least so long for each layer and direction")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str();
  const std::map<std::string, mg::BenchClock> clocks{{"wall", mg::BenchClock::wall},
                                                     {"cpu", mg::BenchClock::cpu}};
  op->add_option("--clock", options.effort.clock,
                 "wall, or cpu: one thread's own time on a core, where others use the cores too")
      ->transform(CLI::CheckedTransformer(clocks));
  op->add_option("--json", options.json, "write the figures to this file too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(mg::ExitCode::usage);
  }
  try {
    mg::bench_ops(options);
    return 0;
  } catch (const mg::Error& e) {
    fmt::print(stderr, "mgbench: {}\n", e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    fmt::print(stderr, "mgbench: {}\n", e.what());
    return static_cast<int>(mg::ExitCode::failure);
  }
}
