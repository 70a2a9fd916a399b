#include <fmt/core.h>

#include "bench/ops/operations.h"
#include "bench/peers/peers.h"

namespace mg {

namespace {

Job make_job(Bench& bench, const ConvLayer& layer) {
  const Conv3dGeometry g = layer.geometry;
  const Array x = activation(bench, layer.x), dy = activation(bench, layer.y());
  const Array y = activation(bench, layer.y(), Array::Fill::zeros), dx = activation(bench, layer.x);
  const Array w = parameter(bench, layer.w()), dw = parameter(bench, layer.w());
  Bench* b = &bench;
  const double moved = x.bytes() + y.bytes() + w.bytes();
  Job job{layer.name,
          fmt::format("{:>4} {:>4} {:>10}", layer.x[4], layer.outputs, extents(layer.y())),
          layer.uses,
          {},
          {{"n", layer.x[0]},
           {"t", layer.x[1]},
           {"h", layer.x[2]},
           {"w", layer.x[3]},
           {"inputs", layer.x[4]},
           {"outputs", layer.outputs},
           {"kernel_t", g.kernel[0]},
           {"kernel_s", g.kernel[1]},
           {"stride_t", g.stride[0]},
           {"stride_s", g.stride[1]},
           {"padding_t", g.padding[0]},
           {"padding_s", g.padding[1]}}};
  job.runs.push_back(
      {"forward", Unit::matrix, layer.flops(), moved,
       [=] {
         b->run([&](auto& s) {
           conv3d_forward(
               {.y = y.view(), .x = x.view(), .w = w.view(), .geometry = g, .input = {}, .epilogue = {}}, s);
         });
       },
       conv_peer(bench, layer, Direction::forward)});
  job.runs.push_back(
      {"backward-data", Unit::matrix, layer.flops(), moved,
       [=] { b->run([&](auto& s) {
               conv3d_backward_data({dx.view(), dy.view(), w.view(), g}, s);
             }); },
       conv_peer(bench, layer, Direction::backward_data)});
  job.runs.push_back(
      {"backward-weight", Unit::matrix, layer.flops(), moved,
       [=] { b->run([&](auto& s) {
               conv3d_backward_weight({dw.view(), x.view(), dy.view(), g}, s);
             }); },
       conv_peer(bench, layer, Direction::backward_weight)});
  return job;
}

}  // namespace

std::vector<MakeJob> conv_jobs(Bench& bench) {
  auto layers = r2plus1d_layers(bench.batch, bench.width, bench.clip);
  if (bench.counting) layers = few_pixels(layers);
  std::vector<MakeJob> jobs;
  for (const ConvLayer& layer : layers) jobs.push_back([&bench, layer] { return make_job(bench, layer); });
  return jobs;
}

}  // namespace mg
