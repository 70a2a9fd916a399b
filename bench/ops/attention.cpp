#include "kernels/attention.h"

#include <fmt/core.h>

#include <cmath>

#include "bench/ops/operations.h"
#include "bench/peers/peers.h"

namespace mg {

namespace {

struct AttentionLayer {
  std::string name;
  std::int64_t batch, queries, keys;
  int heads, dim, uses;
  float dropout;
};

Job make_job(Bench& bench, const AttentionLayer& t) {
  const Shape queries{t.batch, t.queries, t.heads * t.dim}, keys{t.batch, t.keys, t.heads * t.dim};
  const Array q = activation(bench, queries), k = activation(bench, keys), v = activation(bench, keys);
  const Array dq = activation(bench, queries), dk = activation(bench, keys), dv = activation(bench, keys);
  const Array y = activation(bench, queries), dy = activation(bench, queries);
  const Array lse = parameter(bench, {t.batch, t.heads, t.queries}, Array::Fill::zeros);
  const AttentionProblem problem{.q = q.view(),
                                 .k = k.view(),
                                 .v = v.view(),
                                 .heads = t.heads,
                                 .scale = 1 / std::sqrt(static_cast<float>(t.dim)),
                                 .dropout = t.dropout,
                                 .key = {1, 0, 1}};
  Bench* b = &bench;
  // One product of queries and keys; forward has two of them, backward five.
  const double product =
      2.0 * static_cast<double>(t.batch * t.heads * t.dim) * static_cast<double>(t.queries * t.keys);
  const double moved = 2 * q.bytes() + 2 * k.bytes() + lse.bytes();
  Job job{t.name,
          fmt::format("{}x{} of {}x{}", t.heads, t.dim, t.queries, t.keys),
          t.uses,
          {},
          {{"batch", t.batch},
           {"heads", t.heads},
           {"queries", t.queries},
           {"keys", t.keys},
           {"dim", t.dim},
           {"dropout_percent", std::lround(100 * t.dropout)}}};
  job.runs.push_back({"forward", Unit::matrix, 2 * product, moved,
                      [=, held = std::vector{q, k, v}] {
                        b->run([&](auto& s) { attention_forward({problem, y.view(), lse.f32()}, s); });
                      },
                      attention_peer(bench, {t.batch, t.heads, t.queries, t.keys, t.dim})});
  job.runs.push_back(
      {"backward", Unit::matrix, 5 * product, 2 * moved, [=, held = std::vector{q, k, v}] {
         b->run([&](auto& s) {
           attention_backward({problem, dq.view(), dk.view(), dv.view(), dy.view(), y.view(), lse.f32()}, s);
         });
       }});
  return job;
}

}  // namespace

std::vector<MakeJob> attention_jobs(Bench& bench) {
  const std::int64_t texts = bench.counting ? 1 : captions(bench);
  std::vector<MakeJob> jobs;
  for (const AttentionLayer& layer :
       {AttentionLayer{"distilbert", texts, kTokens, kTokens, 12, 64, 6, 0.1F},
        {"long captions", texts, 77, 77, 12, 64, 6, 0},
        {"emotion", bench.counting ? 1 : 8 * bench.batch, 128, 128, 8, 64, 4, 0.1F}}) {
    jobs.push_back([&bench, layer] { return make_job(bench, layer); });
  }
  return jobs;
}

}  // namespace mg
