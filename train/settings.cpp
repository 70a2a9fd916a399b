#include "train/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

namespace mg {

namespace {

// Attention splits its channels evenly among the heads.
void check_heads(const Config& config, const std::string& section) {
  const auto dim = config.integer(section + ".dim"), heads = config.integer(section + ".heads");
  if (dim % heads != 0) {
    throw Error(ExitCode::config, "{}.heads = {} must divide {}.dim = {}", section, heads, section, dim);
  }
}

PromptConfig prompt_config(const Config& config) {
  const std::map<std::string, PromptKind> kinds{
      {"none", PromptKind::none}, {"xclip", PromptKind::xclip}, {"paper_eq", PromptKind::paper_eq}};
  const std::map<std::string, PromptTokens> tokens{{"spatiotemporal", PromptTokens::spatiotemporal},
                                                   {"pooled", PromptTokens::pooled},
                                                   {"batch", PromptTokens::batch}};
  return {
      .kind = kinds.at(config.text("prompt.kind")),
      .tokens = tokens.at(config.text("prompt.tokens")),
      .condition = config.text("prompt.condition") == "own" ? PromptCondition::own : PromptCondition::each,
      .heads = config.small("prompt.heads"),
      .layers = config.small("prompt.layers"),
      .alpha = config.single("prompt.alpha"),
      .scalar_alpha = config.text("prompt.alpha_shape") == "scalar"};
}

// Three numbers with commas between them.
std::array<float, 3> three_numbers(const Config& config, const std::string& key) {
  const std::string& text = config.text(key);
  std::array<float, 3> numbers{};
  const char *at = text.data(), *end = at + text.size();
  for (std::size_t i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, numbers[i]);
    const bool closed = i < 2 ? next != end && *next == ',' : next == end;
    if (error != std::errc() || !closed || !std::isfinite(numbers[i])) {
      throw Error(ExitCode::config,
                  "{} expects three numbers, red, green and blue, as '0.43,0.39,0.38', got '{}'", key, text);
    }
    if (i < 2) at = next + 1;
  }
  return numbers;
}

FrameSampling frame_sampling(const Config& config, const std::string& key) {
  const std::map<std::string, FrameSampling> rules{{"center", FrameSampling::center},
                                                   {"segment_random", FrameSampling::segment_random},
                                                   {"authors_random", FrameSampling::authors_random}};
  return rules.at(config.text(key));
}

}  // namespace

DecodeSpec decode_spec(const Config& config) {
  const std::map<std::string, ResizeFilter> filters{
      {"bilinear", ResizeFilter::bilinear}, {"area", ResizeFilter::area}, {"ffmpeg", ResizeFilter::ffmpeg}};
  return {.height = config.small("cache.height"),
          .width = config.small("cache.width"),
          .filter = filters.at(config.text("cache.resize")),
          .fps = config.real("cache.fps")};
}

InputSpec input_spec(const Config& config) {
  InputSpec input;
  input.frames = config.small("video.frames");
  input.height = input.width = config.small("video.size");
  input.resize_height = config.small("video.resize_height");
  input.resize_width = config.small("video.resize_width");
  if ((input.resize_height == 0) != (input.resize_width == 0)) {
    throw Error(ExitCode::config,
                "video.resize_height = {} and video.resize_width = {}: both or none may be 0",
                input.resize_height, input.resize_width);
  }
  input.train_sampling = frame_sampling(config, "sampler.train");
  input.test_sampling = frame_sampling(config, "sampler.test");
  const std::map<std::string, ShortClips> short_clips{{"nearest_repeat", ShortClips::nearest_repeat},
                                                      {"loop", ShortClips::loop},
                                                      {"paper_random", ShortClips::paper_random}};
  input.short_clips = short_clips.at(config.text("sampler.short"));
  input.kind = config.text("video.input") == "motion" ? InputKind::motion : InputKind::rgb;
  input.divisor = config.text("video.scale") == "authors_255" ? 1 : 255;
  input.mean = three_numbers(config, "video.mean");
  input.stddev = three_numbers(config, "video.std");
  for (const float deviation : input.stddev) {
    if (!(deviation > 0)) {
      throw Error(ExitCode::config, "video.std expects numbers above 0, got '{}'", config.text("video.std"));
    }
  }
  return input;
}

Augmentation augmentation(const Config& config) {
  return {.window = config.single("augment.window"),
          .crop_scale = config.single("augment.crop_scale"),
          .flip = config.flag("augment.flip"),
          .brightness = config.single("augment.brightness"),
          .contrast = config.single("augment.contrast"),
          .random_crop = config.text("augment.crop") == "random"};
}

ContrastiveModelConfig contrastive_model_config(const Config& config, std::int64_t vocabulary) {
  check_heads(config, "text");
  if (config.integer("text.max_length") > config.integer("text.max_positions")) {
    throw Error(ExitCode::config, "text.max_length = {} must not exceed text.max_positions = {}",
                config.integer("text.max_length"), config.integer("text.max_positions"));
  }
  ContrastiveModelConfig model;
  model.video.width = config.integer("video.width");
  model.video.blocks.fill(config.small("video.blocks"));
  model.text = {.kind = config.text("text.kind") == "bert" ? TextKind::bert : TextKind::distilbert,
                .vocabulary = vocabulary,
                .max_positions = config.integer("text.max_positions"),
                .dim = config.integer("text.dim"),
                .hidden_dim = config.integer("text.hidden_dim"),
                .layers = config.small("text.layers"),
                .heads = config.small("text.heads"),
                .dropout = config.single("text.dropout"),
                .attention_dropout = config.single("text.dropout")};
  model.text_pooling = config.text("text.pooling") == "mean" ? TextPooling::mean : TextPooling::cls;
  model.embedding_dim = config.integer("model.embedding_dim");
  model.head_dropout = config.single("model.head_dropout");
  model.prompt = prompt_config(config);
  if (model.prompt.heads > 0 && model.embedding_dim % model.prompt.heads != 0) {
    throw Error(ExitCode::config, "prompt.heads = {} must divide model.embedding_dim = {}",
                model.prompt.heads, model.embedding_dim);
  }
  model.temperature = config.single("contrastive.temperature");
  model.cosine = config.text("contrastive.similarity") == "cosine";
  return model;
}

WordPieceOptions wordpiece_options(const Config& config) {
  return {.lowercase = config.flag("text.lowercase")};
}

ClassifierConfig classifier_config(const Config& config, std::int64_t classes) {
  const std::map<std::string, ClassifierHead> heads{{"mlp2", ClassifierHead::mlp2},
                                                    {"authors_tied", ClassifierHead::authors_tied},
                                                    {"linear", ClassifierHead::linear}};
  return {.head = heads.at(config.text("classifier.head")),
          .inputs = config.integer("model.embedding_dim"),
          .hidden = config.integer("classifier.hidden"),
          .classes = classes,
          .dropout = config.single("classifier.dropout")};
}

EmotionTransformerConfig emotion_config(const Config& config, std::int64_t gestures, std::int64_t emotions) {
  check_heads(config, "emotion");
  return {.gestures = gestures,
          .emotions = emotions,
          .dim = config.integer("emotion.dim"),
          .hidden_dim = config.integer("emotion.hidden_dim"),
          .max_length = config.integer("emotion.max_length"),
          .layers = config.small("emotion.layers"),
          .heads = config.small("emotion.heads"),
          .dropout = config.single("emotion.dropout")};
}

int loader_threads(const Config& config) {
  return std::max(1, CpuStream(config.small("threads")).threads() / 2);
}

Schedule schedule(const Config& config, const std::string& stage) {
  return config.text(stage + ".schedule") == "cosine" ? Schedule::cosine : Schedule::constant;
}

}  // namespace mg
