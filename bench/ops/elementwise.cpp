#include "kernels/elementwise.h"

#include <fmt/core.h>

#include <numeric>

#include "bench/ops/operations.h"
#include "kernels/cross_entropy.h"
#include "kernels/gather_rows.h"
#include "kernels/lstm_cell.h"
#include "kernels/pool.h"

namespace mg {

namespace {

std::string row_text(std::int64_t rows, std::int64_t channels) {
  return fmt::format("{:>4} {:>15}", channels, rows);
}

Job elementwise_job(Bench& bench, const std::string& name, std::int64_t rows, std::int64_t channels) {
  const Shape shape{rows, channels};
  const Array x = activation(bench, shape), y = activation(bench, shape), dy = activation(bench, shape);
  const Array f32(bench, shape, DType::f32, round_up(channels, kChannelAlign), Array::Fill::random);
  const Array factor = parameter(bench, {channels});
  const DropoutMask mask{.p = 0.1F, .key = {1, 0, 1}, .rows_per_sample = kTokens};
  Bench* b = &bench;
  const double count = static_cast<double>(rows * channels), two = x.bytes() + y.written(),
               three = x.bytes() + two;
  Job job{name, row_text(rows, channels), 1, {}};
  const auto add = [&](const char* direction, double flops, double bytes, auto work) {
    job.runs.push_back({direction, Unit::vector, flops, bytes, [b, work] { b->run(work); }});
  };
  add("add", count, three, [=](auto& s) { add_forward({y.view(), x.view(), dy.view()}, s); });
  add("cast", 0, f32.bytes() + y.written(), [=](auto& s) { scale_forward({y.view(), f32.view(), 1}, s); });
  add("relu", count, two, [=](auto& s) { activation_forward({y.view(), x.view(), Activation::relu}, s); });
  add("gelu", 20 * count, two, [=](auto& s) {
    activation_forward({y.view(), x.view(), Activation::gelu}, s);
  });
  add("gelu backward", 30 * count, three, [=](auto& s) {
    activation_backward({y.view(), dy.view(), x.view(), Activation::gelu}, s);
  });
  add("dropout", count, two, [=](auto& s) { dropout({y.view(), x.view(), mask}, s); });
  add("scale channels", count, two, [=](auto& s) {
    scale_channels_forward({y.view(), x.view(), factor.f32()}, s);
  });
  add("factor's gradient", 2 * count, 2 * x.bytes(), [=](auto& s) {
    scale_channels_backward_factor({factor.f32(), dy.view(), x.view()}, s);
  });
  return job;
}

Job gather_rows_job(Bench& bench, std::int64_t count, std::int64_t vocabulary, std::int64_t channels) {
  // Token numbers as of captions: few different ones. Every third position the same, the rest spread.
  std::vector<std::int32_t> indices, order(static_cast<std::size_t>(count)), rows, starts;
  for (std::int64_t i = 0; i < count; ++i)
    indices.push_back(static_cast<std::int32_t>(i % 3 == 0 ? 101 : i * 7919 % 500 % vocabulary));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto c) {
    return indices[static_cast<std::size_t>(a)] < indices[static_cast<std::size_t>(c)];
  });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::int32_t row = indices[static_cast<std::size_t>(order[i])];
    if (rows.empty() || rows.back() != row) {
      rows.push_back(row);
      starts.push_back(static_cast<std::int32_t>(i));
    }
  }
  starts.push_back(static_cast<std::int32_t>(count));
  const auto held = [&](const std::vector<std::int32_t>& v) { return Array(bench, v.data(), v.size() * 4); };
  const Array at = held(indices), segment_rows = held(rows), segment_starts = held(starts),
              positions = held(order);
  const auto segments = static_cast<std::int64_t>(rows.size());
  const Array table = parameter(bench, {vocabulary, channels}), dtable = parameter(bench, table.shape());
  const Array y = parameter(bench, {count, channels}), dy = parameter(bench, y.shape());
  Bench* b = &bench;
  const double moved = 2 * y.bytes() + at.bytes();  // a row that occurs twice is asked for twice
  Job job{"tokens", row_text(count, channels), 1, {}};
  job.runs.push_back(
      {"forward", Unit::vector, 0, moved, [=] {
         b->run([&](auto& s) { gather_rows_forward({y.view(), table.view(), at.as<std::int32_t>()}, s); });
       }});
  job.runs.push_back(
      {"backward", Unit::vector, static_cast<double>(count * channels), dy.bytes() + dtable.bytes(), [=] {
         b->run([&](auto& s) {
           gather_rows_backward({dtable.view(),
                                 dy.view(),
                                 {segment_rows.as<std::int32_t>(), segment_starts.as<std::int32_t>(),
                                  positions.as<std::int32_t>(), segments}},
                                s);
         });
       }});
  return job;
}

Job pool_job(Bench& bench, std::int64_t samples, std::int64_t positions, std::int64_t channels) {
  const Array x = activation(bench, {samples, positions, channels}), dx = activation(bench, x.shape());
  const Array y = activation(bench, {samples, channels}), dy = activation(bench, y.shape());
  Bench* b = &bench;
  Job job{"r2plus1d", fmt::format("{:>4} {:>11}x{:>3}", channels, samples, positions), 1, {}};
  job.runs.push_back(
      {"forward", Unit::vector, static_cast<double>(x.shape().count()), x.bytes() + y.bytes(), [=] {
         b->run([&](auto& s) { global_average_pool_forward({y.view(), x.view()}, s); });
       }});
  job.runs.push_back(
      {"backward", Unit::vector, static_cast<double>(x.shape().count()), x.bytes() + y.bytes(), [=] {
         b->run([&](auto& s) { global_average_pool_backward({dx.view(), dy.view()}, s); });
       }});
  return job;
}

Job lstm_cell_job(Bench& bench, std::int64_t rows, std::int64_t hidden) {
  const Array gates = activation(bench, {rows, 4 * hidden}), dgates = activation(bench, gates.shape());
  const Array h = activation(bench, {rows, hidden}), dh = activation(bench, h.shape());
  const auto state = [&] {
    return Array(bench, {rows, hidden}, DType::f32, round_up(hidden, kChannelAlign), Array::Fill::random);
  };
  const Array c = state(), before = state(), dc = state(), dbefore = state();
  Bench* b = &bench;
  const double count = static_cast<double>(rows * hidden);
  Job job{"prompting", row_text(rows, hidden), 1, {}};
  job.runs.push_back(
      {"forward", Unit::vector, 40 * count, gates.bytes() + h.bytes() + 2 * c.bytes(), [=] {
         b->run([&](auto& s) { lstm_cell_forward({h.view(), c.view(), gates.view(), before.view()}, s); });
       }});
  job.runs.push_back(
      {"backward", Unit::vector, 60 * count, 2 * gates.bytes() + h.bytes() + 4 * c.bytes(), [=] {
         b->run([&](auto& s) {
           lstm_cell_backward(
               {dgates.view(), dbefore.view(), dh.view(), dc.view(), gates.view(), before.view(), c.view()},
               s);
         });
       }});
  return job;
}

Job cross_entropy_job(Bench& bench, std::int64_t rows, std::int64_t classes) {
  const Array logits = activation(bench, {rows, classes}), dlogits = activation(bench, logits.shape());
  const Array targets = parameter(bench, logits.shape(), Array::Fill::ones);
  const Array lse = parameter(bench, {rows}), loss = parameter(bench, {1}), dloss = parameter(bench, {1});
  Bench* b = &bench;
  const double count = static_cast<double>(rows * classes),
               moved = logits.bytes() + targets.bytes() + lse.bytes();
  Job job{"classifier", row_text(rows, classes), 1, {}, {{"rows", rows}, {"classes", classes}}};
  job.runs.push_back({"forward", Unit::vector, 20 * count, moved, [=] {
                        b->run([&](auto& s) {
                          cross_entropy_forward({loss.f32(), logits.view(), targets.view(), lse.f32()}, s);
                        });
                      }});
  job.runs.push_back(
      {"backward", Unit::vector, 20 * count, moved + dlogits.written(), [=] {
         b->run([&](auto& s) {
           cross_entropy_backward({dlogits.view(), logits.view(), targets.view(), lse.f32(), dloss.f32()}, s);
         });
       }});
  return job;
}

}  // namespace

std::vector<MakeJob> elementwise_jobs(Bench& bench) {
  const std::int64_t tokens = bench.counting ? 256 : captions(bench) * kTokens;
  const std::int64_t pixels = bench.counting ? 2048 : bench.batch * 16 * 56 * 56;
  return {[&bench, tokens] { return elementwise_job(bench, "ffn", tokens, 3072); },
          [&bench, pixels] { return elementwise_job(bench, "stem", pixels, 45); }};
}
std::vector<MakeJob> gather_rows_jobs(Bench& bench) {
  const std::int64_t tokens = bench.counting ? 1024 : captions(bench) * kTokens;
  const std::int64_t vocabulary = bench.counting ? 1024 : 30522;
  return {[&bench, tokens, vocabulary] { return gather_rows_job(bench, tokens, vocabulary, 768); }};
}
std::vector<MakeJob> pool_jobs(Bench& bench) {
  return {[&bench] { return pool_job(bench, bench.counting ? 4 : bench.batch, 98, 8 * bench.width); }};
}
std::vector<MakeJob> lstm_cell_jobs(Bench& bench) {
  const std::int64_t rows = bench.counting ? 128 : captions(bench);
  return {[&bench, rows] { return lstm_cell_job(bench, rows, 512); }};
}
std::vector<MakeJob> cross_entropy_jobs(Bench& bench) {
  return {[&bench] { return cross_entropy_job(bench, bench.counting ? 256 : 32 * bench.batch, 17); }};
}

}  // namespace mg
