#include <fmt/core.h>

#include "bench/ops/network_shapes.h"
#include "bench/ops/operations.h"
#include "kernels/adamw.h"
#include "kernels/contrastive_loss.h"
#include "kernels/frame_input.h"

namespace mg {

namespace {

// Each clip sees its own prompted texts, as adaptive prompting does, or all see the same ones.
Job contrastive_loss_job(Bench& bench, const std::string& name, std::int64_t clips, std::int64_t texts,
                         bool prompted) {
  constexpr std::int64_t kDim = 512;
  const Array v = parameter(bench, {clips, kDim}), dv = parameter(bench, v.shape());
  const Shape text_shape = prompted ? Shape{clips, texts, kDim} : Shape{texts, kDim};
  const Array t = parameter(bench, text_shape), dt = parameter(bench, text_shape);
  const Array positives = parameter(bench, {clips, texts}, Array::Fill::ones);
  const std::vector<std::int32_t> each(static_cast<std::size_t>(texts),
                                       static_cast<std::int32_t>(clips / texts));
  const Array counts(bench, each.data(), each.size() * 4);
  const Array row = parameter(bench, {clips}), column = parameter(bench, {texts});
  const Array target_row = parameter(bench, {clips}), target_column = parameter(bench, {texts});
  const Array loss = parameter(bench, {1}), dloss = parameter(bench, {1}, Array::Fill::ones);
  const ContrastiveProblem problem{v.view(), t.view(), positives.view(), counts.as<std::int32_t>(), 0.07F, 1};
  const ContrastiveNormalisers normalisers{row.f32(), column.f32(), target_row.f32(), target_column.f32()};
  Bench* b = &bench;
  const double product = 2.0 * static_cast<double>(clips * texts * kDim);
  const double moved = v.bytes() + t.bytes() + positives.bytes();
  Job job{name,
          fmt::format("{} x {} of {}", clips, texts, kDim),
          1,
          {},
          {{"clips", clips}, {"texts", texts}, {"dim", kDim}, {"prompted", prompted ? 1 : 0}}};
  job.runs.push_back(
      {"forward", Unit::vector, product, moved, [=, held = std::vector{v, t, positives, counts}] {
         b->run([&](auto& s) { contrastive_loss_forward({problem, loss.f32(), normalisers}, s); });
       }});
  job.runs.push_back(
      {"backward", Unit::vector, 3 * product, moved + dv.bytes() + dt.bytes(),
       [=, held = std::vector{v, t, positives, counts, row, column, target_row, target_column}] {
         b->run([&](auto& s) {
           contrastive_loss_backward({problem, dv.view(), dt.view(), normalisers, dloss.f32()}, s);
         });
       }});
  return job;
}

Job adamw_job(Bench& bench) {
  struct Owned {
    Array weight, first, second, grad, steps;
  };
  std::vector<Owned> owned;
  std::vector<AdamWTensor> tensors;
  double count = 0;
  const std::int64_t begin[1] = {0};
  const auto add = [&](const Shape& shape, double decay) {
    const Shape s =
        bench.counting ? Shape{std::min<std::int64_t>(shape.count(), 32768)} : Shape{shape.count()};
    Owned o{parameter(bench, s), parameter(bench, s, Array::Fill::zeros),
            parameter(bench, s, Array::Fill::ones), parameter(bench, s), Array(bench, begin, sizeof begin)};
    tensors.push_back({o.weight.f32(), o.first.f32(), o.second.f32(), o.grad.f32(),
                       o.steps.as<std::int64_t>(), s.count(), 1e-4, decay});
    count += static_cast<double>(s.count());
    owned.push_back(std::move(o));
  };
  for (const ConvLayer& layer : r2plus1d_layers(1, bench.width)) {
    for (int i = 0; i < layer.uses; ++i) {
      add(layer.w(), 0.05);
      for (int vector = 0; vector < 2; ++vector) add({layer.outputs}, 0);
    }
  }
  const AdamWOutcome none{};
  const Array outcome(bench, &none, sizeof none);
  Bench* b = &bench;
  Job job{"r2plus1d", fmt::format("{} tensors", tensors.size()), 1, {}};
  // Gradients are read twice, for their norm and for the step; three arrays are read and written.
  job.runs.push_back({"step", Unit::vector, 15 * count, 4 * 8 * count, [=] {
                        b->run([&](auto& s) {
                          adamw_step({.outcome = outcome.as<AdamWOutcome>(),
                                      .tensors = tensors,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .eps = 1e-8,
                                      .max_norm = 1},
                                     s);
                        });
                      }});
  // The closure above must keep the arrays.
  job.runs.back().work = [work = job.runs.back().work, owned] { work(); };
  return job;
}

#if defined(MG_CUDA)
Job frame_input_job(Bench& bench, std::int64_t clips, std::int64_t frames) {
  const Shape stored{clips, frames, 128, 171, 3};
  const std::vector<unsigned char> bytes(static_cast<std::size_t>(stored.count()), 100);
  const Array source(bench, bytes.data(), bytes.size());
  std::vector<FrameView> views(static_cast<std::size_t>(clips), FrameView{8, 29, 112, 112, 1, 1.1F, 0.9F});
  const Array view(bench, views.data(), views.size() * sizeof(FrameView));
  const Array y = activation(bench, {clips, frames, 112, 112, 3}, Array::Fill::zeros);
  Bench* b = &bench;
  // Contrast wants the mean of what a sample shows, so that the crop is read twice.
  const double cropped = static_cast<double>(clips * frames * 112 * 112 * 3);
  const double written = static_cast<double>(y.shape().rows() * y.view().pitch * size_of(bench.dtype));
  Job job{"clips", fmt::format("{}x{} of 128x171", clips, frames), 1, {}};
  const auto run = [=](bool contrast) {
    return [=] {
      FrameInput args{
          y.view(), {source.as<unsigned char>(), DType::u8, stored, 3}, view.as<FrameView>(), contrast, {},
          {}};
      for (int c = 0; c < 3; ++c) args.scale[c] = 0.017F;
      if (auto* s = std::get_if<CudaStream>(&b->stream)) frame_input(args, *s);
    };
  };
  job.runs.push_back({"plain", Unit::vector, 2 * cropped, cropped + written, run(false)});
  job.runs.push_back({"with contrast", Unit::vector, 5 * cropped, 2 * cropped + written, run(true)});
  return job;
}
#endif

}  // namespace

std::vector<MakeJob> contrastive_loss_jobs(Bench& bench) {
  const std::int64_t clips = bench.counting ? 32 : 32 * bench.batch;
  return {[&bench, clips] { return contrastive_loss_job(bench, "shared texts", clips, clips, false); },
          [&bench, clips] { return contrastive_loss_job(bench, "prompted texts", clips, clips / 2, true); }};
}
std::vector<MakeJob> adamw_jobs(Bench& bench) {
  return {[&bench] { return adamw_job(bench); }};
}
std::vector<MakeJob> frame_input_jobs(Bench& bench) {
#if defined(MG_CUDA)
  if (bench.on_cuda()) {
    return {[&bench] {
      return bench.counting ? frame_input_job(bench, 1, 2) : frame_input_job(bench, bench.batch, 16);
    }};
  }
#endif
  static_cast<void>(bench);
  return {};
}

}  // namespace mg
