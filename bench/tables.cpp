#include "bench/tables.h"

#include <fmt/core.h>

#include <cstdio>

namespace mg {

namespace {

void print_time(const Result& r, const Peaks& peaks) {
  const Timing& t = *r.ours;
  fmt::print("{:<18}{:<22} {:<17} {:>10.3f} {:>9.1f} {:>8.1f} {:>5.0f}% {:>5.0f}%", r.name, r.shape,
             r.direction, t.median_ms, r.gflops(t.median_ms), r.gbytes(t.median_ms),
             100 * r.share_of_roofline(peaks, t.median_ms), 100 * r.share_of_roofline(peaks, t.best_ms));
  if (r.peer)
    fmt::print("  {} {:.3f} ms, {:.2f}x", r.peer_name, r.peer->median_ms, r.peer->median_ms / t.median_ms);
  fmt::print("\n");
}

void print_counts(const Result& r) {
  const Counts c = counts_of(r.launches);
  fmt::print("{:<18}{:<22} {:<17} {:>8} {:>9.3f} {:>7.2f} {:>8.2f} {:>8.2f} {:>8.2f} {:>7.1f}%\n", r.name,
             r.shape, r.direction, c.launches, c.l1_bytes / 1e6, c.l1_bytes / r.bytes,
             c.sectors_per_request(), c.sectors_over_least(), c.wavefronts_over_least(),
             100 * c.tensor_share());
}

}  // namespace

void print_head(bool counting) {
  if (counting) {
    fmt::print("{:<18}{:<22} {:<17} {:>8} {:>9} {:>7} {:>8} {:>8} {:>8} {:>8}\n", "layer", "shape",
               "direction", "launches", "L1 MB", "/least", "sect/req", "/least", "waves/l.", "tensor");
  } else {
    fmt::print("{:<18}{:<22} {:<17} {:>10} {:>9} {:>8} {:>6} {:>6}\n", "layer", "shape", "direction", "ms",
               "GFLOP/s", "GB/s", "roof", "best");
  }
}

void print_result(const Result& result, const Peaks& peaks) {
  if (result.launches.empty()) {
    print_time(result, peaks);
  } else {
    print_counts(result);
  }
  std::fflush(stdout);
}

void print_totals(const std::vector<Result>& results, const Peaks& peaks) {
  std::vector<Result> totals;
  std::vector<double> roofs;  // ms that the machine would need
  for (const Result& r : results) {
    if (!r.launches.empty()) return;
    std::size_t at = 0;
    while (at < totals.size() && totals[at].direction != r.direction) ++at;
    if (at == totals.size()) {
      Result total;
      total.name = "all", total.shape = "as often as used", total.direction = r.direction;
      total.ours = Timing{};
      if (r.peer) total.peer = Timing{};
      total.peer_name = r.peer_name;
      totals.push_back(total);
      roofs.push_back(0);
    }
    Result& total = totals[at];
    total.flops += r.uses * r.flops;
    total.bytes += r.uses * r.bytes;
    total.ours->median_ms += r.uses * r.ours->median_ms;
    total.ours->best_ms += r.uses * r.ours->best_ms;
    roofs[at] += r.uses * r.share_of_roofline(peaks, 1);
    if (total.peer && r.peer) total.peer->median_ms += r.uses * r.peer->median_ms;
    if (!r.peer) total.peer.reset();
  }
  for (std::size_t i = 0; i < totals.size(); ++i) {
    const Result& t = totals[i];
    fmt::print("{:<18}{:<22} {:<17} {:>10.3f} {:>9.1f} {:>8.1f} {:>5.0f}% {:>5.0f}%", t.name, t.shape,
               t.direction, t.ours->median_ms, t.gflops(t.ours->median_ms), t.gbytes(t.ours->median_ms),
               100 * roofs[i] / t.ours->median_ms, 100 * roofs[i] / t.ours->best_ms);
    if (t.peer)
      fmt::print("  {} {:.3f} ms, {:.2f}x", t.peer_name, t.peer->median_ms,
                 t.peer->median_ms / t.ours->median_ms);
    fmt::print("\n");
  }
}

nlohmann::ordered_json to_json(const Result& r, const Peaks& peaks) {
  nlohmann::ordered_json json{{"operation", r.operation}, {"layer", r.name},          {"shape", r.shape},
                              {"uses", r.uses},           {"direction", r.direction}, {"flop", r.flops},
                              {"least_bytes", r.bytes}};
  for (const auto& [name, value] : r.dims) json["dims"][name] = value;
  if (r.launches.empty()) {
    const double ms = r.ours->median_ms;
    json.update({{"median_ms", ms},
                 {"best_ms", r.ours->best_ms},
                 {"runs", r.ours->runs},
                 {"gflops", r.gflops(ms)},
                 {"gbytes", r.gbytes(ms)},
                 {"percent_of_roofline", 100 * r.share_of_roofline(peaks, ms)}});
    if (r.peer) {
      json["peer"] = {{"name", r.peer_name}, {"median_ms", r.peer->median_ms}, {"best_ms", r.peer->best_ms}};
    }
    return json;
  }
  const auto summary = [](const Counts& c) {
    return nlohmann::ordered_json{{"launches", c.launches},
                                  {"l1_bytes", c.l1_bytes},
                                  {"requests", c.requests},
                                  {"sectors", c.sectors},
                                  {"least_sectors", c.least_sectors},
                                  {"wavefronts", c.wavefronts},
                                  {"least_wavefronts", c.least_wavefronts},
                                  {"tensor_flop", c.tensor_flops},
                                  {"vector_flop", c.vector_flops}};
  };
  json.update(summary(counts_of(r.launches)));
  json["kernels"] = nlohmann::ordered_json::array();
  for (const Launch& launch : r.launches) {
    nlohmann::ordered_json kernel{
        {"kernel", launch.kernel},
        {"blocks", launch.blocks},
        {"threads", launch.threads},
        {"shared_bytes", launch.shared_bytes},
        {"warp_instructions", launch.count("warpInsts")},
        {"local_bytes", launch.count("localLoadBytes") + launch.count("localStoreBytes")}};
    kernel.update(summary(counts_of({launch})));
    json["kernels"].push_back(std::move(kernel));
  }
  return json;
}

}  // namespace mg
