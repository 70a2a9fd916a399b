#include "train/earlier_run.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "train/settings.h"

namespace mg {

namespace {

// Another value that the key may have.
std::string other_value(const Config& config, const ConfigKey& key) {
  if (!key.choices.empty()) return config.text(key.key) == key.choices[0] ? key.choices[1] : key.choices[0];
  if (std::holds_alternative<bool>(key.initial)) return config.flag(key.key) ? "false" : "true";
  if (std::holds_alternative<std::int64_t>(key.initial)) {
    const std::int64_t value = config.integer(key.key);
    return std::to_string(
        2 * std::max<std::int64_t>(value, 1) <= key.high ? 2 * std::max<std::int64_t>(value, 1) : value / 2);
  }
  if (std::holds_alternative<double>(key.initial))
    return fmt::format("{}", (key.low + config.real(key.key)) / 2);
  return "";
}

std::string shapes(Module& module) {
  std::string text;
  for (const NamedTensor& t : named_tensors(module)) {
    text += t.name;
    for (int i = 0; i < t.tensor->shape().rank(); ++i) text += fmt::format(" {}", t.tensor->dim(i));
    text += "\n";
  }
  return text;
}

std::string shapes_of(const std::string& stage, const Config& config) {
  if (stage == "contrastive") {
    ContrastiveModel model(contrastive_model_config(config, 50));
    return shapes(model);
  }
  if (stage == "classifier") {
    Classifier model(classifier_config(config, 5));
    return shapes(model);
  }
  EmotionTransformer model(emotion_config(config, 5, 3));
  return shapes(model);
}

}  // namespace

TEST_CASE("every key that changes a stage's tensors is compared when a run starts from another") {
  const Config nano = Config::from_preset("nano");
  // A stage's own model is the first's to be compared with: its embeddings are the second's input.
  for (const std::string stage : {"contrastive", "classifier", "emotion"}) {
    const std::string usual = shapes_of(stage, nano);
    std::size_t changed = 0;
    for (const ConfigKey& key : config_keys()) {
      Config other = nano;
      const std::string value = other_value(nano, key);
      CAPTURE(stage);
      CAPTURE(key.key);
      CAPTURE(value);
      std::string now;
      try {
        other.set(key.key + "=" + value);
        now = shapes_of(stage, other);
      } catch (const Error&) {
        continue;  // no value for it
      }
      if (now == usual) continue;
      ++changed;
      const auto in = [&](const std::string& of) {
        const auto& keys = shape_keys(of);
        return std::find(keys.begin(), keys.end(), key.key) != keys.end();
      };
      CHECK((in(stage) || in("contrastive")));
    }
    CHECK(changed >= 2);
  }
}

}  // namespace mg
