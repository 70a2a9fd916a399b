// What a training step does to the device: nothing waits for it once memory is there, and the copy of the
// next batch is in order with the computation on both sides.
#include <algorithm>

#include "data/frames.h"
#include "device/two_devices.h"
#include "engine/layers.h"
#include "engine/optimizer.h"
#include "train/machine.h"

using namespace mg;
using namespace mg::test;

#if defined(MG_CUDA)

namespace {

// A convolution, a norm and a classifier: every kind of memory that a step asks for.
struct SmallNet : Module {
  Conv3d conv{3, 20, {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}}};
  BatchNorm norm{20};
  Linear fc{20, 5};
  SmallNet() {
    add_child("conv", conv);
    add_child("norm", norm);
    add_child("fc", fc);
  }
};

// Clips of noise.
MemoryFrames noise(int clips, int frames, int size) {
  std::vector<Frames> all;
  for (int c = 0; c < clips; ++c) {
    Frames f;
    f.count = frames;
    f.height = f.width = size;
    f.rgb.resize(static_cast<std::size_t>(frames) * static_cast<std::size_t>(size * size) * 3);
    for (std::size_t i = 0; i < f.rgb.size(); ++i)
      f.rgb[i] = static_cast<std::uint8_t>((i * 7 + static_cast<std::size_t>(c) * 31) % 251);
    all.push_back(std::move(f));
  }
  return MemoryFrames(std::move(all));
}

struct Training {
  explicit Training(DType type) : ctx(cuda_context(type)) {
    config.set("video.frames=4");
    config.set("video.size=16");
    net.initialize(3);
    net.move_to(ctx);
    optimizer.emplace(std::vector<ParameterGroup>{{"net", net.parameters(), 1e-3}},
                      AdamWOptions{.max_norm = 1});
    frames.emplace(noise(8, 4, 16));
    loader.emplace(*frames, input_spec_of(config), Augmentation{}, 1, ctx.staging, BatchForm::dense);
    batches.emplace(ctx, *loader, config);
    for (int i = 0; i < 3; ++i) request();
  }
  static InputSpec input_spec_of(const Config&) {
    InputSpec input;
    input.frames = 4;
    input.height = input.width = 16;
    return input;
  }
  void request() {
    BatchRequest r;
    r.clips = {0, 3, 5, 7};
    loader->request(std::move(r));
  }
  std::pair<Late<float>, Late<AdamWOutcome>> step() {
    request();
    const Batch batch = batches->next();
    Tape tape;
    const Restore<Tape*> recording(ctx.tape, &tape);
    const Restore<bool> training(ctx.training, true);
    Tensor targets = Tensor::zeros(heap_allocator(), {4, 5}, Layout::dense);
    for (int r = 0; r < 4; ++r) targets.f32()[6 * r] = 1;
    const Value features = net.norm.forward(ctx, net.conv, Value(batch.frames), true);
    const Value loss = cross_entropy(ctx, net.fc.forward(ctx, global_average_pool(ctx, features)), targets);
    tape.backward(ctx, loss);
    batches->copy_ahead();
    return {ctx.read_later<float>(loss.data), optimizer->step(ctx)};
  }

  Config config;
  Context ctx;
  SmallNet net;
  std::optional<AdamW> optimizer;
  std::optional<MemoryFrames> frames;
  std::optional<ClipLoader> loader;
  std::optional<InputBatches> batches;
};

std::size_t position(const std::vector<std::string>& log, const std::string& entry, std::size_t from = 0) {
  const auto at = std::find(log.begin() + static_cast<std::ptrdiff_t>(from), log.end(), entry);
  return static_cast<std::size_t>(at - log.begin());
}

}  // namespace

TEST_CASE("no call of a training step waits for the device, but for what is read a step late") {
  if (!has_cuda()) return;
  for (const DType type : {DType::f32, DType::bf16}) {
    Training t(type);
    auto before = t.step();
    for (int i = 0; i < 2; ++i) before = t.step();  // memory is asked for in the first steps
    auto& stream = std::get<CudaStream>(t.ctx.stream);
    const std::int64_t blocking = stream.blocking_calls(), held = t.ctx.arena.statistics().system_allocations;
    for (int i = 0; i < 5; ++i) {
      auto now = t.step();
      CHECK(std::isfinite(before.first.get()));
      CHECK(before.second.get().skipped == 0);
      before = std::move(now);
    }
    CHECK(stream.blocking_calls() == blocking);
    CHECK(t.ctx.arena.statistics().system_allocations == held);
  }
}

TEST_CASE("the copy of the next batch waits for its memory, and the computation for the copy") {
  if (!has_cuda()) return;
  Training t(DType::f32);
  for (int i = 0; i < 2; ++i) t.step();
  std::vector<std::string> log;
  auto& stream = std::get<CudaStream>(t.ctx.stream);
  stream.trace(&log);
  t.step();
  t.step();
  stream.trace(nullptr);
  // The first of the two steps starts a copy when its work is launched: the copy's stream first waits for an
  // event of the computation's stream, recorded after the last launch so far.
  const std::size_t copy = position(log, "copy side");
  REQUIRE(copy >= 2);
  REQUIRE(copy + 1 < log.size());
  const std::string free_event = log[copy - 1].substr(std::string("wait side ").size());
  CHECK(log[copy - 1] == "wait side " + free_event);
  CHECK(log[copy - 2] == "record main " + free_event);
  CHECK(log[copy - 3].starts_with("launch "));
  // Its end is recorded, and the computation of the next step waits for it before its first launch on the
  // batch.
  const std::string arrived = log[copy + 1].substr(std::string("record side ").size());
  CHECK(log[copy + 1] == "record side " + arrived);
  const std::size_t wait = position(log, "wait main " + arrived, copy);
  REQUIRE(wait < log.size());
  const auto is_convolution = [](const std::string& entry) {
    return entry.find("conv") != std::string::npos;
  };
  const auto first = std::find_if(log.begin() + static_cast<std::ptrdiff_t>(copy), log.end(), is_convolution);
  CHECK(static_cast<std::size_t>(first - log.begin()) > wait);
}

#endif
