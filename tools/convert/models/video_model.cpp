// torchvision's r2plus1d_18, at any width, with its classifier or without.
#include <fmt/format.h>

#include <array>

#include "models/r2plus1d.h"
#include "tools/convert/models/parts.h"

namespace mg {

namespace {

constexpr const char* kExpected = "expected torchvision's r2plus1d_18";

// What is known of other video networks, said before a list of names that do not fit.
void refuse_other_networks(const TensorMap& tensors, const std::string& prefix, const Source& source) {
  const std::string stem = prefix + "stem.0.weight";
  const auto first = tensors.find(stem);
  if (first == tensors.end()) refuse(source, "no tensor is called {}: {}", stem, kExpected);
  const Shape& s = first->second.shape();
  if (s.rank() != 5)
    refuse(source, "{} is {}: {}, whose convolutions have five dimensions", stem, to_string(s), kExpected);
  if (s[2] != 1) {
    refuse(source, "{} is {}, a convolution over time and space at once, as r3d_18 and mc3_18 have: {}", stem,
           to_string(s), kExpected);
  }
  if (tensors.contains(prefix + "layer1.0.conv3.0.weight")) {
    refuse(source, "its blocks have three convolutions (a bottleneck network of 50 layers or more): {}",
           kExpected);
  }
  if (!tensors.contains(prefix + "layer1.0.conv1.0.0.weight")) {
    refuse(source, "no {}layer1.0.conv1.0.0.weight: its convolutions are not split into space and time: {}",
           prefix, kExpected);
  }
}

// Blocks of each layer, which must be alike in all four.
int blocks_of(const TensorMap& tensors, const std::string& prefix, const Source& source) {
  std::array<int, 4> blocks{};
  int convolutions = 0;
  for (int layer = 0; layer < 4; ++layer) {
    blocks[static_cast<std::size_t>(layer)] =
        count_numbered(tensors, fmt::format("{}layer{}.", prefix, layer + 1));
    convolutions += 2 * blocks[static_cast<std::size_t>(layer)];
  }
  for (const int count : blocks) {
    if (count == blocks[0] && count > 0) continue;
    refuse(
        source,
        "this is an R(2+1)D of {} layers, with {} residual blocks: {}, which has 2, 2, 2 and 2, or another "
        "with as many in each",
        convolutions + 2, fmt::join(blocks, ", "), kExpected);
  }
  return blocks[0];
}

}  // namespace

void decide_video(ConvertedModel& model, const TensorMap& tensors, const std::string& prefix,
                  const Source& source) {
  refuse_other_networks(tensors, prefix, source);
  decide(model, source, "video.width", extent(tensors, prefix + "stem.3.weight", 0, source));
  decide(model, source, "video.blocks", blocks_of(tensors, prefix, source));
}

ConvertedModel build_video(const Source& source, const BuildOptions& options) {
  ConvertedModel model;
  model.kind = "r2plus1d";
  model.keys = video_encoder_keys(source.weights.tensors, source.path.string());
  TensorMap tensors = renamed(source.weights.tensors, model.keys);
  decide_video(model, tensors, "", source);
  // As torchvision's weights want pixels (R2Plus1D_18_Weights.KINETICS400_V1.transforms()); how many and how
  // large frames are is the preset's to say.
  decide(model, source, "video.input", "rgb");
  decide(model, source, "video.scale", "unit");
  decide(model, source, "video.mean", "0.43216,0.394666,0.37645");
  decide(model, source, "video.std", "0.22803,0.22145,0.216989");
  decide(model, source, "contrastive.lr_video", 1e-4);
  for (const std::string& setting : options.settings) model.config.set(setting);

  R2Plus1dConfig config;
  config.width = model.config.integer("video.width");
  config.blocks.fill(model.config.small("video.blocks"));
  if (tensors.contains("fc.weight")) config.classes = extent(tensors, "fc.weight", 0, source);
  auto net = std::make_unique<R2Plus1d>(config);
  model.probe = [net = net.get(), has_classes = config.classes > 0](Context& ctx) {
    const Value features = net->forward(ctx, drawn_tensor(ctx, "frames", {1, 8, 48, 48, 3}));
    Probe probe{{"features", some_values(global_average_pool(ctx, features).data)}};
    if (has_classes) probe.emplace_back("logits", some_values(net->logits(ctx, features).data));
    return probe;
  };
  model.module = std::move(net);
  load_model(model, std::move(tensors), source, options);
  if (config.classes > 0) {
    model.notes.push_back(fmt::format(
        "fc, the classifier of {} classes, is kept for `mgtrain predict --run`; training leaves it out",
        config.classes));
  }
  return model;
}

}  // namespace mg
