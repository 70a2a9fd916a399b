// 50 steps of training the first stage beside PyTorch: a small model, and the published sizes where
// MG_FULL_PARITY is set.
#include <cstdlib>

#include "models/curve.h"
#include "models/stage1.h"

namespace mg {

namespace {

// As stage1_curves.py's start(): a plain random start is chaotic.
void start(Module& model) {
  test::fill(model);
  for (const NamedParameter& p : model.parameters()) {
    Tensor& value = p.parameter->value;
    if (value.shape().rank() == 5) {
      for (std::int64_t i = 0; i < value.count(); ++i) value.f32()[i] *= 4;
    } else if (p.name.ends_with("conv2.1.weight")) {
      std::fill_n(value.f32(), value.count(), 0.3f);
    }
  }
}

std::vector<ParameterGroup> groups_of(Module& model, const nlohmann::json& golden) {
  const nlohmann::json& lr = golden["lr"];
  const double decay = golden["weight_decay"];
  ParameterGroup video{"video", {}, lr["image_encoder."], decay},
      text{"text", {}, lr["text_encoder."], decay}, head{"head", {}, lr[""], decay};
  for (const NamedParameter& p : model.parameters()) {
    ParameterGroup& group = p.name.starts_with("image_encoder.")  ? video
                            : p.name.starts_with("text_encoder.") ? text
                                                                  : head;
    group.parameters.push_back(p);
  }
  return {video, text, head};
}

// Clips of noise with a little of the pattern of their kind, one after another.
Tensor frames_of(Context& ctx, const std::vector<std::int64_t>& clips, std::int64_t kinds,
                 const nlohmann::json& sizes) {
  const std::int64_t pixels = sizes["pixels"];
  Tensor frames = ctx.empty({static_cast<std::int64_t>(clips.size()), sizes["frames"], pixels, pixels, 3});
  const std::int64_t count = frames.count() / frames.dim(0), channels = frames.channels();
  for (std::size_t b = 0; b < clips.size(); ++b) {
    const test::Hashed noise(fmt::format("clip {}", clips[b])),
        kind(fmt::format("kind {}", clips[b] % kinds));
    float* clip = frames.f32() + static_cast<std::int64_t>(b) * count / channels * frames.pitch();
    for (std::int64_t i = 0; i < count; ++i) {
      clip[i / channels * frames.pitch() + i % channels] =
          static_cast<float>(noise(i)) + static_cast<float>(kind(i)) / 8;
    }
  }
  return frames;
}

void compare(const std::string& name, const std::string& file, Isa isa = supported_isas().back()) {
  const nlohmann::json golden = test::read_golden(file);
  const test::TokenLists texts = golden["texts"];
  const auto kinds = static_cast<std::int64_t>(texts.size());
  Context ctx(CpuStream(2, isa));
  ContrastiveModel model(test::model_config(golden["sizes"], golden["case"]));
  start(model);
  AdamW optimizer(groups_of(model, golden), {});
  const auto steps = static_cast<int>(golden["curve"]["losses"].size());
  const std::vector<double> losses = test::train(ctx, optimizer, steps, [&](int step) {
    const std::vector<std::int64_t> clips = test::strided_rows(step, golden["batch"], golden["clips"]);
    std::vector<std::int32_t> labels;
    labels.reserve(clips.size());
    for (std::int64_t clip : clips) labels.push_back(static_cast<std::int32_t>(clip % kinds));
    return test::stage1_loss(ctx, model, frames_of(ctx, clips, kinds, golden["sizes"]), texts, labels);
  });
  test::compare_curve(name, golden["curve"], losses);
}

}  // namespace

TEST_CASE("The first stage trains as PyTorch's does") {
  for (const Isa isa : supported_isas()) {
    if (isa == Isa::portable) continue;  // takes too long
    compare(fmt::format("first stage, small, {}", to_string(isa)), "stage1_curve_small.json", isa);
  }
}

TEST_CASE("The first stage trains at the published sizes as PyTorch's does") {
  if (std::getenv("MG_FULL_PARITY") == nullptr) {
    MESSAGE("skipped: MG_FULL_PARITY is not set (training at the published sizes)");
    return;
  }
  compare("first stage, R(2+1)D-18 and DistilBERT", "stage1_curve_full.json");
}

}  // namespace mg
