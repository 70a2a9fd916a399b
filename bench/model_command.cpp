// Layers of the models as the engine runs them, and whole steps. A layer is timed forward in training, and
// forward with its backward pass.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "bench/commands.h"
#include "bench/ops/network_shapes.h"
#include "bench/roofline.h"
#include "bench/setup.h"
#include "bench/tables.h"
#include "engine/ops.h"
#include "engine/optimizer.h"
#include "models/contrastive_model.h"

namespace mg {

namespace {

// What the whole command works on: the engine's context on the bench's device.
struct ModelBench {
  Bench& bench;
  Context ctx;
  std::int64_t clips, texts;
  ClipExtent clip;

  ModelBench(Bench& b, Stream stream)
      : bench(b),
        ctx(std::move(stream)),
        clips(b.counting ? 2 : b.batch),
        texts(b.counting ? 4 : 32 * b.batch),
        clip(b.counting ? ClipExtent{8, 32} : b.clip) {
    ctx.training = true;
    ctx.activations = b.dtype;
  }
  Tensor input(Shape shape) {
    Tensor host(heap_allocator(), shape);
    for (std::int64_t i = 0; i < host.rows(); ++i) {
      for (std::int64_t c = 0; c < host.channels(); ++c)
        host.f32()[i * host.pitch() + c] = std::sin(static_cast<float>(i * 7 + c));
    }
    return ctx.activation(host);
  }
};

Stream same_stream(Bench& bench, const BenchOptions& options) {
#if defined(MG_CUDA)
  if (auto* cuda = std::get_if<CudaStream>(&bench.stream)) return Stream(*cuda);
#endif
  static_cast<void>(bench);
  return Stream(CpuStream(options.threads, std::get<CpuStream>(bench.stream).isa()));
}

// A module that lives as long as the job's closures, where its context's kernels look.
template <class M, class... Args>
std::shared_ptr<M> made(ModelBench& m, Args&&... args) {
  auto module = std::make_shared<M>(std::forward<Args>(args)...);
  module->initialize(1);
  module->move_to(m.ctx);
  return module;
}

// forward: of a training step, recorded; both: with the gradients of inputs and parameters. The least that is
// moved: input and parameters, and their gradients.
template <class M, class... Rest>
Job layer_job(ModelBench& m, const std::string& name, Shape shape, int uses, double flops,
              const std::shared_ptr<M>& module, Rest... rest) {
  const Tensor x = m.input(shape);
  ModelBench* bench = &m;
  const auto pass = [=](bool backward) {
    Tape tape;
    const Restore<Tape*> record(bench->ctx.tape, &tape);
    const Value y = module->forward(bench->ctx, tape.input(x), rest...);
    if (backward) tape.backward(bench->ctx, y);
  };
  const double bytes = static_cast<double>(x.bytes()) + 4 * static_cast<double>(module->parameter_count());
  Job job{name, to_string(shape), uses, {}};
  job.runs.push_back({"forward", Unit::matrix, flops, bytes, [pass] { pass(false); }});
  job.runs.push_back({"both", Unit::matrix, 3 * flops, 2 * bytes, [pass] { pass(true); }});
  return job;
}

// Blocks of a layer: the first, which halves frames and sides in layers 2 to 4, and the others.
Job block_job(ModelBench& m, const std::vector<ConvLayer>& layers, int layer, bool first) {
  const std::string prefix = fmt::format("l{}.", layer), of = first ? prefix + "0." : prefix;
  double flops = 0;
  Shape shape;
  for (const ConvLayer& conv : layers) {
    const bool in_first = conv.name.starts_with(prefix + "0.");
    if (!conv.name.starts_with(of) || in_first != first) continue;
    if (shape.rank() == 0) shape = conv.x;
    flops += conv.flops() * (first ? 1 : 2);  // a later block has its pair twice
  }
  const std::int64_t inputs = shape.channels(), outputs = m.bench.width << (layer - 1);
  const auto block = made<R2Plus1dBlock>(m, inputs, outputs, first ? 2 : 1);
  return layer_job(m,
                   fmt::format("layer{}.{}", layer,
                               first        ? "0"
                               : layer == 1 ? "0, 1"
                                            : "1"),
                   shape, layer == 1 ? 2 : 1, flops, block);
}

TokenBatch tokens_of(std::int64_t count) {
  TokenBatch tokens{count, 16, {}, {}};
  for (std::int64_t i = 0; i < count * 16; ++i)
    tokens.ids.push_back(static_cast<std::int32_t>(i * 7919 % 30000));
  tokens.lengths.assign(static_cast<std::size_t>(count), 16);
  return tokens;
}

// Per token: four products with dim x dim, two with the hidden layer, and attention's two.
double text_layer_flops(const TextEncoderConfig& config, std::int64_t texts, std::int64_t length) {
  const auto weights = static_cast<double>(4 * config.dim * config.dim + 2 * config.dim * config.hidden_dim);
  return static_cast<double>(texts * length) * (2 * weights + 4 * static_cast<double>(length * config.dim));
}

Job text_layer_job(ModelBench& m) {
  const TextEncoderConfig config;
  const auto layer = made<TextEncoderLayer>(m, config);
  const std::vector<std::int32_t> lengths(static_cast<std::size_t>(m.texts), 16);
  return layer_job(m, "text layer", {m.texts, 16, config.dim}, config.layers,
                   text_layer_flops(config, m.texts, 16), layer, lengths);
}

// The first stage's step: both encoders, the loss, all gradients, AdamW. Captions are as many as clips.
Job step_job(ModelBench& m, double video_flops) {
  ContrastiveModelConfig config;
  config.video.width = m.bench.width;
  if (m.bench.counting) config.text.layers = 1;
  const auto model = made<ContrastiveModel>(m, config);
  const Tensor frames = m.input({m.clips, m.clip.frames, m.clip.side, m.clip.side, 3});
  const TokenBatch tokens = tokens_of(m.clips);
  Tensor positives = Tensor::zeros(heap_allocator(), {m.clips, m.clips}, Layout::dense);
  for (std::int64_t i = 0; i < m.clips; ++i) positives.f32()[i * m.clips + i] = 1;
  const std::vector<std::int32_t> counts(static_cast<std::size_t>(m.clips), 1);
  const auto optimizer = std::make_shared<AdamW>(
      std::vector<ParameterGroup>{{"all", model->parameters(), 1e-4, 0.05}}, AdamWOptions{.max_norm = 1});
  ModelBench* bench = &m;
  const double flops =
      video_flops + config.text.layers * text_layer_flops(config.text, m.clips, tokens.length);
  Job job{"contrastive step", fmt::format("{} clips and texts", m.clips), 1, {}};
  job.runs.push_back({"step", Unit::matrix, 3 * flops, static_cast<double>(frames.bytes()), [=] {
                        Context& ctx = bench->ctx;
                        Tape tape;
                        const Restore<Tape*> record(ctx.tape, &tape);
                        const EncodedVideo video = model->encode_video(ctx, {frames});
                        const Value text = model->prompt(ctx, model->encode_text(ctx, tokens), video);
                        const Value loss =
                            contrastive_loss(ctx, model->comparable(ctx, video.embedding),
                                             model->comparable(ctx, text), positives, counts, {});
                        tape.backward(ctx, loss);
                        optimizer->step(ctx);
                        ++ctx.step;
                      }});
  return job;
}

#if defined(MG_CUDA)
// Kernels one after another, as Chrome's trace format has them, and their sums, the longest first.
void write_timeline(const std::string& path, const std::vector<CudaStream::LaunchTime>& launches) {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  std::map<std::string, std::pair<double, int>> sums;
  double at = 0;
  for (const auto& launch : launches) {
    events.push_back({{"name", launch.name},
                      {"ph", "X"},
                      {"pid", 1},
                      {"tid", 1},
                      {"ts", at * 1e3},
                      {"dur", launch.ms * 1e3}});
    at += launch.ms;
    sums[launch.name].first += launch.ms;
    ++sums[launch.name].second;
  }
  write_file(path, nlohmann::ordered_json{{"traceEvents", events}}.dump() + "\n");
  std::vector<std::pair<std::string, std::pair<double, int>>> order(sums.begin(), sums.end());
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return a.second.first > b.second.first; });
  fmt::print("\n{:<44} {:>8} {:>10} {:>6}\n", "kernel of a training step", "launches", "ms", "%");
  for (const auto& [name, sum] : order)
    fmt::print("{:<44} {:>8} {:>10.3f} {:>5.1f}%\n", name, sum.second, sum.first, 100 * sum.first / at);
  fmt::print("{:<44} {:>8} {:>10.3f}\n", "all", launches.size(), at);
}
#endif

// The kernels of one more step.
void make_timeline(ModelBench& m, const Job& step, const std::string& path) {
#if defined(MG_CUDA)
  if (auto* stream = std::get_if<CudaStream>(&m.ctx.stream)) {
    if (m.bench.counting) fmt::print("a virtual GPU's times mean nothing\n");
    stream->time_launches(true);
    step.runs[0].work();
    write_timeline(path, stream->take_launch_times());
    stream->time_launches(false);
    return;
  }
#endif
  static_cast<void>(m), static_cast<void>(step);
  fmt::print("skipped: {}: a timeline is of CUDA kernels\n", path);
}

}  // namespace

void bench_model(const BenchOptions& options) {
  const Setup setup = make_setup(options);
  Bench& bench = *setup.bench;
  const Peaks peaks = measure_peaks(bench, bench.counting);
  ModelBench m(bench, same_stream(bench, options));
  const auto layers = r2plus1d_layers(m.clips, bench.width, m.clip);
  double video_flops = 0;
  for (const ConvLayer& layer : layers) video_flops += layer.uses * layer.flops();
  fmt::print("{}, {} clips of {} x {} x {}\n", machine_text(bench), m.clips, m.clip.frames, m.clip.side,
             m.clip.side);
  print_head(bench.counting);
  nlohmann::ordered_json json = machine_json(bench, peaks);
  json["results"] = nlohmann::ordered_json::array();
  std::vector<Result> all;
  const auto take = [&](const Job& job) {
    for (const Result& r : measure(bench, "model", job, setup.report.get(),
                                   [&](const Result& result) { print_result(result, peaks); })) {
      json["results"].push_back(to_json(r, peaks));
      all.push_back(r);
    }
    bench.rehearsing = false;  // one layer is enough
  };
  bench.rehearsing = bench.counting && !options.svg.empty();
  if (options.only.empty()) {
    const auto stem = made<R2Plus1d>(m, R2Plus1dConfig{.width = bench.width, .blocks = {0, 0, 0, 0}});
    take(layer_job(m, "stem", layers[0].x, 1, layers[0].flops() + layers[1].flops(), stem));
    take(block_job(m, layers, 1, false));
    for (int layer = 2; layer <= 4; ++layer) {
      for (const bool first : {true, false}) take(block_job(m, layers, layer, first));
    }
    const auto video = made<R2Plus1d>(m, R2Plus1dConfig{.width = bench.width});
    take(layer_job(m, "R(2+1)D-18", layers[0].x, 1, video_flops, video));
    take(text_layer_job(m));
  }
  const Job step = step_job(m, video_flops);
  take(step);
  const Arena::Statistics memory = m.ctx.arena.statistics();
  json["memory"] = {{"peak_bytes_in_use", memory.peak_in_use}, {"bytes_held", memory.bytes_held}};
  fmt::print("memory: {:.2f} GiB in use at the peak, {:.2f} GiB held\n", memory.peak_in_use / 0x1p30,
             memory.bytes_held / 0x1p30);
  if (!options.timeline.empty()) make_timeline(m, step, options.timeline);
  write_file(options.json, json.dump(2) + "\n");
  const std::string title =
      machine_text(bench) + (bench.counting ? ": a rehearsal, its times mean nothing" : "");
  if (!options.svg.empty()) write_file(options.svg, roofline_svg(title, all, peaks));
}

}  // namespace mg
