#include "train/encoder_weights.h"

#include <fmt/core.h>

#include "engine/checkpoint.h"
#include "train/import_folder.h"
#include "train/run_directory.h"
#include "train/stages/stage.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr const char* kStage = "contrastive";  // the one that trains the encoders

const std::vector<std::string>& architecture_keys(EncoderKind kind) {
  static const std::vector<std::string> video{"video.width", "video.blocks"},
      text{"text.kind", "text.dim", "text.hidden_dim", "text.layers", "text.heads", "text.max_positions"};
  return kind == EncoderKind::video ? video : text;
}

// Under its name in the model of the first stage.
std::string prefix_of(EncoderKind kind) {
  return kind == EncoderKind::video ? "image_encoder." : "text_encoder.model.";
}

nlohmann::json run_certificate(const fs::path& folder) {
  const RunDirectory run(folder);
  const CheckpointData data = finished_stage(run, kStage);
  const auto step = data.state.at("step").get<std::int64_t>();
  const std::string hash = model_hash(run.checkpoints(kStage) / fmt::format("step_{}", step));
  return {{"kind", "run"},
          {"run", fs::canonical(folder).filename().string()},
          {"step", step},
          {"files", {{kStage, "XXH3-128 " + hash}}}};
}

}  // namespace

const std::vector<std::string>& input_keys(EncoderKind kind) {
  static const std::vector<std::string> video{
      "video.frames", "video.size",          "video.input",        "video.scale",  "video.mean",
      "video.std",    "video.resize_height", "video.resize_width", "cache.height", "cache.width",
      "cache.resize", "cache.fps",           "sampler.test",       "sampler.short"},
      text{"text.pooling", "text.max_length", "text.lowercase", "text.template"};
  return kind == EncoderKind::video ? video : text;
}

EncoderWeights::EncoderWeights(fs::path folder, EncoderKind kind)
    : folder_(std::move(folder)), kind_(kind), is_run_(fs::exists(folder_ / "ckpt")) {
  certificate_ = is_run_ ? run_certificate(folder_) : ImportFolder(folder_).certificate();
}

void EncoderWeights::decide(Config& config) const {
  if (!is_run_) return config.load_file(folder_ / "config.toml");
  const RunDirectory run(folder_);
  config.take(run.config(), architecture_keys(kind_));
  config.take(run.config(), input_keys(kind_));
}

void EncoderWeights::load_into(Module& encoder) const {
  if (!is_run_) {
    using Kinds = std::vector<std::string>;
    const Kinds kinds = kind_ == EncoderKind::video ? Kinds{"r2plus1d"} : Kinds{"distilbert", "bert"};
    return ImportFolder(folder_).load_into(encoder, kinds);
  }
  const RunDirectory run(folder_);
  const std::string prefix = prefix_of(kind_);
  TensorMap own;
  for (auto& [name, tensor] : finished_stage(run, kStage).model) {
    if (name.starts_with(prefix)) own.emplace(name.substr(prefix.size()), tensor);
  }
  load_tensors(named_tensors(encoder), own, folder_.string());
}

}  // namespace mg
