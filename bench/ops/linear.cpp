#include "kernels/linear.h"

#include <fmt/core.h>

#include "bench/ops/operations.h"
#include "bench/peers/peers.h"

namespace mg {

namespace {

struct LinearLayer {
  std::string name;
  std::int64_t inputs, outputs;
  int uses;
};

Job make_job(Bench& bench, const LinearLayer& layer, std::int64_t rows) {
  const Array x = activation(bench, {rows, layer.inputs}), dy = activation(bench, {rows, layer.outputs});
  const Array y = activation(bench, dy.shape()), dx = activation(bench, x.shape());
  const Array w = parameter(bench, {layer.outputs, layer.inputs}), dw = parameter(bench, w.shape());
  const Array bias = parameter(bench, {layer.outputs}), dbias = parameter(bench, {layer.outputs});
  Bench* b = &bench;
  const double flops = 2.0 * static_cast<double>(rows * layer.inputs * layer.outputs);
  const double moved = x.bytes() + y.bytes() + w.bytes();
  const auto peer = [&](Direction direction) {
    return linear_peer(bench, rows, layer.inputs, layer.outputs, direction);
  };
  Job job{layer.name,
          fmt::format("{:>4} {:>4} {:>10}", layer.inputs, layer.outputs, rows),
          layer.uses,
          {},
          {{"rows", rows}, {"inputs", layer.inputs}, {"outputs", layer.outputs}}};
  job.runs.push_back({"forward", Unit::matrix, flops, moved,
                      [=] {
                        b->run([&](auto& s) {
                          linear_forward({.y = y.view(),
                                          .x = x.view(),
                                          .w = w.view(),
                                          .epilogue = {.bias = bias.f32()},
                                          .pre_activation = {}},
                                         s);
                        });
                      },
                      peer(Direction::forward)});
  job.runs.push_back({"backward-data", Unit::matrix, flops, moved,
                      [=] {
                        b->run([&](auto& s) { linear_backward_data({dx.view(), dy.view(), w.view()}, s); });
                      },
                      peer(Direction::backward_data)});
  job.runs.push_back(
      {"backward-weight", Unit::matrix, flops, moved,
       [=] {
         b->run([&](auto& s) { linear_backward_weight({dw.view(), dbias.view(), x.view(), dy.view()}, s); });
       },
       peer(Direction::backward_weight)});
  return job;
}

}  // namespace

std::vector<MakeJob> linear_jobs(Bench& bench) {
  const std::int64_t rows = captions(bench) * kTokens;
  std::vector<MakeJob> jobs;
  for (const LinearLayer& layer :
       {LinearLayer{"attention", 768, 768, 24}, {"ffn.1", 768, 3072, 6}, {"ffn.2", 3072, 768, 6}}) {
    jobs.push_back([&bench, layer, rows] { return make_job(bench, layer, rows); });
  }
  return jobs;
}

}  // namespace mg
