// The presets: what each changes of the defaults, which are the paper's and, where it is silent, its
// authors'. Those of the paper are in paper_presets.cpp.
#include "train/config.h"

namespace mg {

namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

constexpr const char* kSmall = "mg: small networks and data, from random weights";

// A text encoder that random weights can train: a dozen captions do not need six layers of 768.
const Values kSmallText{{"text.dim", "64"},        {"text.hidden_dim", "256"},
                        {"text.layers", "2"},      {"text.heads", "4"},
                        {"text.max_length", "32"}, {"contrastive.lr_text", "0.0005"},
                        {"text.pooling", "mean"}};

// Training from scratch on hundreds of clips: an input that shows movement and hides who moves, few channels,
// and what keeps it from learning the people by heart.
const Values kSmallTraining{{"video.frames", "8"},
                            {"video.input", "motion"},
                            {"video.width", "16"},
                            {"cache.resize", "area"},
                            {"augment.crop", "random"},
                            {"augment.window", "0.75"},
                            {"augment.crop_scale", "0.85"},
                            {"augment.brightness", "0.2"},
                            {"model.embedding_dim", "128"},
                            {"model.head_dropout", "0.3"},
                            {"contrastive.batch", "16"},
                            {"contrastive.lr_video", "0.002"},
                            {"contrastive.lr_head", "0.002"},
                            {"contrastive.weight_decay", "0.01"},
                            {"contrastive.schedule", "cosine"},
                            {"contrastive.warmup", "0.1"},
                            {"contrastive.eval_every", "5"},
                            {"classifier.hidden", "128"},
                            {"classifier.dropout", "0.3"},
                            {"classifier.label_smoothing", "0.1"},
                            {"classifier.schedule", "cosine"},
                            {"emotion.dim", "32"},
                            {"emotion.hidden_dim", "64"},
                            {"emotion.layers", "1"},
                            {"emotion.heads", "4"},
                            {"emotion.token_noise", "0.1"},
                            {"emotion.epochs", "60"},
                            {"emotion.lr", "0.002"},
                            {"emotion.schedule", "cosine"}};

Preset small_preset(std::string name, std::string doc, const Values& values) {
  Preset preset{std::move(name), std::move(doc), {}};
  preset.values.reserve(values.size());
  for (const auto& [key, value] : values) preset.values.push_back({key, value, kSmall});
  return preset;
}

Values operator+(Values a, const Values& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = [] {
    std::vector<Preset> made{
        small_preset("nano", "for tests: at most 0.2 GFLOP a clip and training step",
                     kSmallText + Values{{"video.frames", "8"},
                                         {"video.size", "32"},
                                         {"video.input", "motion"},
                                         {"video.width", "8"},
                                         {"video.blocks", "1"},
                                         {"cache.height", "36"},
                                         {"cache.width", "36"},
                                         {"cache.resize", "area"},
                                         {"augment.crop", "random"},
                                         {"model.embedding_dim", "32"},
                                         {"contrastive.epochs", "4"},
                                         {"contrastive.batch", "8"},
                                         {"contrastive.lr_video", "0.002"},
                                         {"contrastive.lr_head", "0.002"},
                                         {"contrastive.schedule", "cosine"},
                                         {"classifier.hidden", "32"},
                                         {"classifier.views", "2"},
                                         {"classifier.epochs", "4"},
                                         {"emotion.dim", "16"},
                                         {"emotion.hidden_dim", "32"},
                                         {"emotion.layers", "1"},
                                         {"emotion.heads", "2"},
                                         {"emotion.epochs", "10"},
                                         {"emotion.batch", "4"},
                                         {"emotion.lr", "0.002"}}),
        small_preset("demo", "for `mgtrain demo`: the synthetic gestures in a few minutes on two cores",
                     kSmallText + kSmallTraining +
                         Values{{"video.size", "48"},
                                {"video.blocks", "1"},
                                {"cache.height", "54"},
                                {"cache.width", "54"},
                                {"contrastive.epochs", "30"}}),
        small_preset("mini", "for two processor cores: training from scratch on hundreds of clips in minutes",
                     kSmallText + kSmallTraining +
                         Values{{"video.size", "64"},
                                {"cache.height", "76"},
                                {"cache.width", "76"},
                                {"augment.mixup", "0.4"},
                                {"contrastive.epochs", "60"}}),
    };
    for (Preset& preset : paper_presets()) made.push_back(std::move(preset));
    return made;
  }();
  return all;
}

}  // namespace mg
