// mgconvert diff
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/convert/commands/commands.h"
#include "tools/convert/compare.h"
#include "train/printable.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kFooter =
    "Compares two weight files tensor by tensor, by name, whatever the formats of the two: one line for "
    "each\n"
    "tensor that is not equal, then a summary. Values are compared as mg reads them (F16, BF16 and F64 as "
    "f32),\n"
    "so a file and its half-precision copy differ by the rounding alone. Memory: both files, whole.\n"
    "Exit codes: 0 all equal (or within --tolerance), 1 something differs, 5 a file cannot be read.\n"
    "Example: mgconvert diff before.safetensors after.safetensors\n"
    "         mgconvert diff r2plus1d_18.pth r2plus1d_18.safetensors\n"
    "         mgconvert diff --tolerance 1e-3 full.pth half.pth\n"
    "         mgconvert diff --json a.pth b.pth | jq .summary";

struct DiffCommand {
  fs::path a, b;
  double tolerance = 0;
  bool as_json = false;

  ExitCode run() const {
    const auto results = compare(read_weight_file(a), read_weight_file(b), tolerance);
    std::map<Comparison, std::size_t> counts;
    for (const TensorComparison& r : results) ++counts[r.result];
    if (as_json) {
      print_json(results, counts);
    } else {
      for (const TensorComparison& r : results) print(r);
      print_summary(results, counts);
    }
    return counts[Comparison::equal] == results.size() ? ExitCode::ok : ExitCode::failure;
  }

 private:
  static void print(const TensorComparison& r) {
    if (r.result == Comparison::equal) return;
    std::string text = fmt::format("{}: {}", printable(r.name), to_string(r.result));
    if (r.result == Comparison::differs) {
      text += fmt::format(": {} of {} numbers, {}", r.differing, r.count,
                          r.a == r.b ? r.a : r.a + " against " + r.b);
      if (r.max > 0)
        text += fmt::format(", by {:.3g} on average, by {:.3g} at {} at most", r.mean, r.max, r.max_at);
      if (r.nan_in_one > 0) text += fmt::format(", {} NaN in one file only", r.nan_in_one);
    } else if (r.result == Comparison::shape_or_type) {
      text += fmt::format(": {} in A, {} in B", r.a, r.b);
    } else {
      text += ": " + r.a + r.b;
    }
    std::printf("%s\n", text.c_str());
  }

  static void print_summary(const std::vector<TensorComparison>& results,
                            const std::map<Comparison, std::size_t>& counts) {
    std::vector<std::string> parts;
    parts.reserve(counts.size());
    for (const auto& [result, count] : counts)
      parts.push_back(fmt::format("{} {}", count, to_string(result)));
    double max = 0;
    for (const TensorComparison& r : results) max = std::max(max, r.max);
    std::printf("%zu tensors: %s; largest difference %.3g\n", results.size(),
                fmt::format("{}", fmt::join(parts, ", ")).c_str(), max);
  }

  void print_json(const std::vector<TensorComparison>& results,
                  const std::map<Comparison, std::size_t>& counts) const {
    json report = {
        {"a", a.string()}, {"b", b.string()}, {"tolerance", tolerance}, {"tensors", json::array()}};
    for (const auto& [result, count] : counts) report["summary"][to_string(result)] = count;
    for (const TensorComparison& r : results) {
      report["tensors"].push_back({{"name", r.name},
                                   {"result", to_string(r.result)},
                                   {"a", r.a},
                                   {"b", r.b},
                                   {"differing", r.differing},
                                   {"nan_in_one", r.nan_in_one},
                                   {"max", r.max},
                                   {"max_at", r.max_at},
                                   {"mean", r.mean}});
    }
    std::printf("%s\n", report.dump(2, ' ', false, json::error_handler_t::replace).c_str());
  }
};

}  // namespace

void add_diff_command(CLI::App& app, ConvertAction& action) {
  CLI::App* command = app.add_subcommand("diff", "Compare two weight files tensor by tensor");
  auto options = std::make_shared<DiffCommand>();
  command->add_option("a", options->a, "a weight file, of any format that inspect reads")->required();
  command->add_option("b", options->b, "another")->required();
  command->add_option("--tolerance", options->tolerance, "numbers this far apart still count as equal")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--json", options->as_json, "print every tensor as JSON, the equal ones too");
  command->footer(kFooter);
  command->callback([options, &action] { action = [options] { return options->run(); }; });
}

}  // namespace mg
