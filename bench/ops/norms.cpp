#include <fmt/core.h>

#include <algorithm>

#include "bench/ops/network_shapes.h"
#include "bench/ops/operations.h"
#include "bench/peers/peers.h"
#include "kernels/batch_norm.h"
#include "kernels/layer_norm.h"

namespace mg {

namespace {

std::string row_text(std::int64_t rows, std::int64_t channels) {
  return fmt::format("{:>4} {:>15}", channels, rows);
}

Job batch_norm_job(Bench& bench, const std::string& name, std::int64_t rows, std::int64_t channels,
                   bool residual, int uses) {
  const Shape shape{rows, channels};
  const Array x = activation(bench, shape), y = activation(bench, shape), r = activation(bench, shape);
  const Array dy = activation(bench, shape), dx = activation(bench, shape), dr = activation(bench, shape);
  const auto vector = [&](Array::Fill fill) { return parameter(bench, {channels}, fill); };
  const Array mean = vector(Array::Fill::zeros), variance = vector(Array::Fill::ones);
  const Array running_mean = vector(Array::Fill::zeros), running_variance = vector(Array::Fill::ones);
  const Array w = vector(Array::Fill::random), bias = vector(Array::Fill::random);
  const Array dw = vector(Array::Fill::zeros), dbias = vector(Array::Fill::zeros);
  Bench* b = &bench;
  const double count = static_cast<double>(rows * channels), extra = residual ? r.bytes() : 0;
  Job job{name,
          row_text(rows, channels),
          uses,
          {},
          {{"rows", rows}, {"channels", channels}, {"residual", residual ? 1 : 0}}};
  job.runs.push_back({"statistics", Unit::vector, 3 * count, x.bytes(), [=] {
                        b->run([&](auto& s) {
                          batch_norm_statistics({x.view(),
                                                 {.mean = mean.f32(),
                                                  .variance = variance.f32(),
                                                  .running_mean = running_mean.f32(),
                                                  .running_variance = running_variance.f32()}},
                                                s);
                        });
                      }});
  job.runs.push_back({"forward", Unit::vector, 2 * count, x.bytes() + y.written() + extra,
                      [=] {
                        b->run([&](auto& s) {
                          batch_norm_forward({.y = y.view(),
                                              .x = x.view(),
                                              .mean = mean.f32(),
                                              .variance = variance.f32(),
                                              .weight = w.f32(),
                                              .bias = bias.f32(),
                                              .eps = 1e-5F,
                                              .residual = residual ? ConstView(r.view()) : ConstView(),
                                              .relu = true},
                                             s);
                        });
                      },
                      batch_norm_peer(bench, rows, channels, Direction::forward)});
  // Two passes, since no chip holds the rows: both read dy, x and y, the second one writes.
  job.runs.push_back({"backward", Unit::vector, 8 * count,
                      6 * x.bytes() + dx.written() + (residual ? dr.written() : 0),
                      [=] {
                        b->run([&](auto& s) {
                          batch_norm_backward({.dx = dx.view(),
                                               .dresidual = residual ? dr.view() : View(),
                                               .dweight = dw.f32(),
                                               .dbias = dbias.f32(),
                                               .dy = dy.view(),
                                               .x = x.view(),
                                               .y = y.view(),
                                               .mean = mean.f32(),
                                               .variance = variance.f32(),
                                               .weight = w.f32(),
                                               .eps = 1e-5F,
                                               .batch_statistics = true},
                                              s);
                        });
                      },
                      batch_norm_peer(bench, rows, channels, Direction::backward_data)});
  return job;
}

Job layer_norm_job(Bench& bench, std::int64_t rows, std::int64_t channels) {
  const Shape shape{rows, channels};
  const Array x = activation(bench, shape), y = activation(bench, shape);
  const Array dy = activation(bench, shape), dx = activation(bench, shape);
  const Array w = parameter(bench, {channels}), bias = parameter(bench, {channels});
  const Array dw = parameter(bench, {channels}), dbias = parameter(bench, {channels});
  const Array mean = parameter(bench, {rows}, Array::Fill::zeros),
              inverse = parameter(bench, {rows}, Array::Fill::ones);
  Bench* b = &bench;
  const double count = static_cast<double>(rows * channels);
  Job job{"distilbert", row_text(rows, channels), 13, {}};
  job.runs.push_back({"forward", Unit::vector, 7 * count, x.bytes() + y.bytes() + 2 * mean.bytes(), [=] {
                        b->run([&](auto& s) {
                          layer_norm_forward(
                              {y.view(), x.view(), w.f32(), bias.f32(), 1e-12F, mean.f32(), inverse.f32()},
                              s);
                        });
                      }});
  job.runs.push_back({"backward", Unit::vector, 12 * count, 3 * x.bytes() + 2 * mean.bytes(), [=] {
                        b->run([&](auto& s) {
                          layer_norm_backward({dx.view(), dw.f32(), dbias.f32(), dy.view(), x.view(), w.f32(),
                                               mean.f32(), inverse.f32()},
                                              s);
                        });
                      }});
  return job;
}

Job l2_normalize_job(Bench& bench, std::int64_t rows, std::int64_t channels) {
  const Shape shape{rows, channels};
  const Array x = activation(bench, shape), y = activation(bench, shape);
  const Array dy = activation(bench, shape), dx = activation(bench, shape);
  Bench* b = &bench;
  const double count = static_cast<double>(rows * channels);
  Job job{"embeddings", row_text(rows, channels), 2, {}};
  job.runs.push_back({"forward", Unit::vector, 3 * count, 2 * x.bytes(), [=] {
                        b->run([&](auto& s) { l2_normalize_forward({y.view(), x.view(), 1e-12F}, s); });
                      }});
  job.runs.push_back(
      {"backward", Unit::vector, 7 * count, 3 * x.bytes(), [=] {
         b->run([&](auto& s) { l2_normalize_backward({dx.view(), dy.view(), x.view(), 1e-12F}, s); });
       }});
  return job;
}

}  // namespace

std::vector<MakeJob> batch_norm_jobs(Bench& bench) {
  std::vector<MakeJob> jobs;
  for (const ConvLayer& layer : r2plus1d_layers(bench.batch, bench.width, bench.clip)) {
    const bool last_of_stage = layer.name.find(".0.") == std::string::npos;
    if (!last_of_stage) continue;  // the first blocks have the same shapes, or half the rows
    std::int64_t rows = layer.y().rows();
    if (bench.counting) rows = std::min(8 * rows, (std::int64_t{1} << 20) / layer.outputs);  // of 8 clips
    jobs.push_back([&bench, layer, rows] {
      return batch_norm_job(bench, layer.name, rows, layer.outputs, layer.residual, layer.uses);
    });
  }
  return jobs;
}

std::vector<MakeJob> layer_norm_jobs(Bench& bench) {
  const std::int64_t rows = bench.counting ? 4096 : captions(bench) * kTokens;
  return {[&bench, rows] { return layer_norm_job(bench, rows, 768); }};
}

std::vector<MakeJob> l2_normalize_jobs(Bench& bench) {
  const std::int64_t rows = bench.counting ? 512 : 32 * bench.batch;
  return {[&bench, rows] { return l2_normalize_job(bench, rows, 512); }};
}

}  // namespace mg
