// Small models as they are met in the wild: our networks' tensors under other names, with what comes along.
#pragma once

#include <functional>
#include <string>

#include "engine/checkpoint.h"
#include "models/contrastive_model.h"
#include "models/r2plus1d.h"
#include "tools/convert/source.h"

namespace mg::test {

using Rename = std::function<std::string(const std::string&)>;

inline Rename prefixed(const std::string& prefix) {
  return [prefix](const std::string& name) { return prefix + name; };
}

inline TensorMap renamed_all(const TensorMap& tensors, const Rename& rename) {
  TensorMap result;
  for (const auto& [name, tensor] : tensors) result.emplace(rename(name), tensor);
  return result;
}

inline Tensor numbers(Shape shape, float value = 0.5f) {
  Tensor t(heap_allocator(), shape, Layout::dense);
  for (std::int64_t i = 0; i < t.count(); ++i) t.f32()[i] = value + static_cast<float>(i);
  return t;
}

// torchvision's names at width 8 with a classifier of 5; weights of their own, BatchNorm statistics too.
inline TensorMap small_video(int blocks = 1) {
  R2Plus1d net({.in_channels = 3, .width = 8, .blocks = {blocks, blocks, blocks, blocks}, .classes = 5});
  net.initialize(7);
  TensorMap tensors = to_tensor_map(named_tensors(net));
  for (auto& [name, tensor] : tensors) {
    if (name.ends_with("running_mean")) tensor.f32()[0] = 0.25f;
    if (name.ends_with("num_batches_tracked")) *tensor.as<std::int64_t>() = 40;
  }
  return tensors;
}

inline TextEncoderConfig small_text_config(TextKind kind) {
  return {.kind = kind,
          .vocabulary = 12,
          .max_positions = 16,
          .dim = 16,
          .hidden_dim = 24,
          .layers = 2,
          .heads = 4};
}

inline TensorMap small_text(TextKind kind) {
  TextEncoder encoder(small_text_config(kind));
  encoder.initialize(8);
  return to_tensor_map(named_tensors(encoder));
}

inline std::vector<std::string> small_vocabulary() {
  return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "rub", "##bing", "eyes", "touch", "hat", "a", "b"};
}

inline nlohmann::json small_text_settings(TextKind kind) {
  if (kind == TextKind::bert) {
    return {{"model_type", "bert"},
            {"num_attention_heads", 4},
            {"hidden_act", "gelu"},
            {"layer_norm_eps", 1e-12}};
  }
  return {{"model_type", "distilbert"}, {"n_heads", 4}, {"activation", "gelu"}};
}

inline Source source_of(TensorMap tensors) {
  Source source;
  source.path = "weights.pth";
  source.weights.format = "PyTorch zip";
  source.weights.tensors = std::move(tensors);
  return source;
}

inline Source text_source(TensorMap tensors, TextKind kind) {
  Source source = source_of(std::move(tensors));
  source.config = small_text_settings(kind);
  source.vocabulary = small_vocabulary();
  return source;
}

// The whole first stage under the released code's names.
inline TensorMap small_authors() {
  ContrastiveModelConfig config;
  config.video = {.in_channels = 3, .width = 8, .blocks = {1, 1, 1, 1}};
  config.text = small_text_config(TextKind::distilbert);
  config.embedding_dim = 16;
  ContrastiveModel model(config);
  model.initialize(9);
  return to_tensor_map(named_tensors(model));
}

}  // namespace mg::test
