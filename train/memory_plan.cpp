#include "train/memory_plan.h"

#include <algorithm>
#include <cstdio>

#include "train/settings.h"
#include "train/stages/contrastive_stage.h"

namespace mg {

namespace {

// Kernels' workspaces, the runtime's own memory and blocks of unequal sizes: what a plan does not see.
constexpr double kReserve = 0.1;

std::size_t device_memory(const Context& ctx) {
#if defined(MG_CUDA)
  if (const auto* cuda = std::get_if<CudaStream>(&ctx.stream)) return cuda->free_memory();
#endif
  static_cast<void>(ctx);
  return 0;
}

bool fits(const MemoryPlan& plan, std::size_t memory) {
  return static_cast<double>(plan.total()) <= (1 - kReserve) * static_cast<double>(memory);
}

// By bisection; 0 when not even one clip fits.
std::int64_t batch_that_fits(const Config& config, const Context& ctx, const TrainingSizes& sizes,
                             std::int64_t batch, std::size_t memory) {
  std::int64_t fitting = 0, too_much = batch;
  while (too_much - fitting > 1) {
    const std::int64_t middle = (fitting + too_much) / 2;
    (fits(plan_contrastive(config, ctx, sizes, middle), memory) ? fitting : too_much) = middle;
  }
  return fitting;
}

// Batches differ by one at most (StepPlanner).
std::int64_t largest_batch(const Config& config, const TrainingSizes& sizes) {
  const std::int64_t batch = config.integer("contrastive.batch");
  const std::int64_t steps = StepPlanner(sizes.clips, batch, 1, 0, "contrastive").steps();
  return (sizes.clips + steps - 1) / steps;
}

std::string advice(std::int64_t batch) {
  return batch > 0 ? fmt::format("contrastive.batch={} would fit", batch)
                   : std::string("not even a batch of one clip fits");
}

}  // namespace

std::string bytes_text(std::size_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? fmt::format("{:.0f} MiB", mebibytes)
                          : fmt::format("{:.1f} GiB", mebibytes / 1024);
}

MemoryPlan plan_contrastive(const Config& config, const Context& ctx, const TrainingSizes& sizes,
                            std::int64_t batch) {
  Context plan = Context::planning(ctx.activations);
  ContrastiveModel model(contrastive_model_config(config, sizes.vocabulary));
  model.image_encoder().set_frozen(config.flag("video.freeze"));
  model.text_encoder().set_frozen(config.flag("text.freeze"));
  model.move_to(plan);
  std::vector<CaptionedClip> clips;
  for (std::int64_t i = 0; i < batch; ++i) {
    const auto text = static_cast<std::int32_t>(i % std::max<std::int64_t>(1, sizes.distinct_texts));
    clips.push_back({std::to_string(text), text});
  }
  const BatchCaptions captions = distinct_captions(clips);
  const std::vector<std::int32_t> longest(static_cast<std::size_t>(sizes.text_length), 0);
  const std::vector<std::vector<std::int32_t>> tokens(captions.texts.size(), longest);
  const InputSpec input = input_spec(config);
  const Shape frames{batch, input.frames, input.height, input.width, 3};
  // On a device the batch that is copied ahead has its memory too.
  const Tensor ahead = ctx.on_device() ? plan.empty(frames, Layout::dense) : Tensor();
  Tape tape;
  const Restore<Tape*> recording(plan.tape, &tape);
  plan.training = true;
  {
    const Value input_frames(plan.empty(frames, Layout::pitched, ctx.activations));
    const EncodedVideo video = model.encode_video(plan, input_frames);
    tape.backward(plan, contrastive_batch_loss(plan, model, video, pad_tokens(tokens, 0), clips, {}, config));
  }
  std::size_t trained = 0;
  for (const NamedParameter& p : model.parameters())
    trained += p.parameter->frozen ? 0 : p.parameter->value.bytes();
  const auto all = static_cast<std::size_t>(model.parameter_count()) * sizeof(float);
  return {batch, all + 2 * trained, plan.arena.statistics().peak_in_use};
}

MemoryPlan check_memory(const Config& config, Context& ctx, const TrainingSizes& sizes) {
  const MemoryPlan plan = plan_contrastive(config, ctx, sizes, largest_batch(config, sizes));
  const std::size_t memory = device_memory(ctx);
  std::fprintf(stderr, "memory: %s for parameters and optimizer, %s for a step of %lld clips%s\n",
               bytes_text(plan.parameters).c_str(), bytes_text(plan.step).c_str(),
               static_cast<long long>(plan.batch),
               memory > 0 ? fmt::format(", of {} that are free", bytes_text(memory)).c_str() : "");
  if (memory > 0 && !fits(plan, memory)) {
    throw Error(ExitCode::out_of_memory,
                "training with batches of {} clips takes {}, the GPU has {} free: {}", plan.batch,
                bytes_text(plan.total()), bytes_text(memory),
                advice(batch_that_fits(config, ctx, sizes, plan.batch, memory)));
  }
  return plan;
}

void with_memory_advice(const Config& config, Context& ctx, const TrainingSizes& sizes,
                        const std::function<void()>& train) {
  const std::size_t memory = device_memory(ctx);
  try {
    train();
  } catch (const Error& e) {
    if (e.code() != ExitCode::out_of_memory || memory == 0) throw;
    // The device had less than the plan took it to have: what was in use is what there is.
    const std::size_t had = ctx.arena.statistics().bytes_held;
    const std::int64_t batch = largest_batch(config, sizes);
    throw Error(ExitCode::out_of_memory, "{} (batches of {} clips): {}", e.what(), batch,
                advice(batch_that_fits(config, ctx, sizes, batch, had)));
  }
}

}  // namespace mg
