// The presets about the paper say what the paper, its authors' code and we say, row by row.
#include <doctest/doctest.h>

#include <algorithm>

#include "train/settings.h"

namespace mg {

namespace {

struct Row {
  const char *key, *paper, *authors, *sane;  // as TOML writes them
};

// Topics on which paper, authors' code and advice may differ, each by the keys that it consists of.
const std::vector<Row> kTable{
    // spatial size
    {"video.size", "224", "112", "112"},
    {"video.resize_height", "0", "128", "0"},
    {"video.resize_width", "0", "171", "0"},
    {"cache.height", "256", "224", "128"},
    {"cache.width", "342", "224", "171"},
    {"cache.resize", "'bilinear'", "'ffmpeg'", "'bilinear'"},
    // pixel scale and colour statistics
    {"video.scale", "'unit'", "'authors_255'", "'unit'"},
    {"video.mean", "'0.43216,0.394666,0.37645'", "'0.43216,0.394666,0.37645'", "'0.43216,0.394666,0.37645'"},
    {"video.std", "'0.22803,0.22145,0.216989'", "'0.22803,0.22145,0.216989'", "'0.22803,0.22145,0.216989'"},
    // frames, rate, short clips
    {"video.frames", "32", "32", "32"},
    {"sampler.train", "'center'", "'authors_random'", "'segment_random'"},
    {"sampler.test", "'center'", "'authors_random'", "'center'"},
    {"cache.fps", "0.0", "16.0", "0.0"},
    {"sampler.short", "'nearest_repeat'", "'paper_random'", "'nearest_repeat'"},
    // augmentation: none
    {"augment.crop", "'center'", "'center'", "'center'"},
    {"augment.window", "1.0", "1.0", "1.0"},
    {"augment.crop_scale", "1.0", "1.0", "1.0"},
    {"augment.flip", "false", "false", "false"},
    {"augment.brightness", "0.0", "0.0", "0.0"},
    {"augment.contrast", "0.0", "0.0", "0.0"},
    {"augment.mixup", "0.0", "0.0", "0.0"},
    // text input and pooling
    {"text.template", "''", "''", "''"},
    {"text.max_length", "200", "200", "200"},
    {"text.pooling", "'cls'", "'cls'", "'cls'"},
    // heads
    {"model.embedding_dim", "256", "256", "256"},
    {"model.head_dropout", "0.1", "0.1", "0.1"},
    // prompting
    {"prompt.kind", "'paper_eq'", "'none'", "'xclip'"},
    {"prompt.tokens", "'spatiotemporal'", "'spatiotemporal'", "'spatiotemporal'"},
    {"prompt.condition", "'each'", "'each'", "'each'"},
    {"prompt.layers", "1", "1", "1"},
    {"prompt.alpha", "0.1", "0.1", "0.1"},
    {"prompt.alpha_shape", "'scalar'", "'vector'", "'vector'"},
    // similarity and loss
    {"contrastive.similarity", "'dot'", "'cosine'", "'cosine'"},
    {"contrastive.temperature", "0.05", "0.05", "0.05"},
    {"contrastive.target", "'l1'", "'softmax'", "'softmax'"},
    {"contrastive.label_scale", "10.0", "10.0", "10.0"},
    // optimiser
    {"contrastive.lr_video", "0.0001", "0.0001", "0.0001"},
    {"contrastive.lr_text", "1e-05", "1e-05", "1e-05"},
    {"contrastive.lr_head", "0.001", "0.001", "0.001"},
    {"contrastive.weight_decay", "0.001", "0.001", "0.001"},
    {"contrastive.schedule", "'constant'", "'plateau'", "'cosine'"},
    {"contrastive.plateau_patience", "1", "1", "1"},
    {"contrastive.plateau_factor", "0.8", "0.8", "0.8"},
    {"contrastive.max_norm", "0.0", "0.0", "1.0"},
    {"contrastive.batch", "32", "32", "32"},
    {"contrastive.epochs", "30", "1000", "30"},
    // freezing
    {"video.freeze", "false", "false", "false"},
    {"text.freeze", "false", "false", "false"},
    // stage 2
    {"classifier.head", "'mlp2'", "'authors_tied'", "'authors_tied'"},
    {"classifier.lr", "0.001", "0.001", "0.001"},
    // emotion input
    {"emotion.tokens", "'wordpieces'", "'wordpieces'", "'classes'"},
    {"emotion.dim", "128", "128", "128"},
    {"emotion.heads", "8", "8", "8"},
    {"emotion.layers", "3", "3", "3"},
    {"emotion.lr", "1e-05", "1e-05", "0.0003"},
};

const Preset& preset_named(const std::string& name) {
  const auto found =
      std::find_if(presets().begin(), presets().end(), [&](const Preset& p) { return p.name == name; });
  REQUIRE(found != presets().end());
  return *found;
}

bool starts_with_one_of(const std::string& text, const std::vector<std::string>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](const auto& b) { return text.starts_with(b); });
}

}  // namespace

TEST_CASE("paper, authors and sane differ where the table says") {
  const Config paper = Config::from_preset("paper"), authors = Config::from_preset("authors"),
               sane = Config::from_preset("sane");
  for (const Row& row : kTable) {
    CAPTURE(row.key);
    CHECK(paper.printed(row.key) == row.paper);
    CHECK(authors.printed(row.key) == row.authors);
    CHECK(sane.printed(row.key) == row.sane);
  }
}

TEST_CASE("the three state every choice with its source, also where they agree") {
  const std::vector<PresetValue>& choices = preset_named("paper").values;
  for (const char* name : {"paper", "authors", "sane"}) {
    const Preset& preset = preset_named(name);
    REQUIRE(preset.values.size() == choices.size());
    for (std::size_t i = 0; i < choices.size(); ++i) {
      const PresetValue& v = preset.values[i];
      CAPTURE(name);
      CAPTURE(v.key);
      CAPTURE(v.source);
      CHECK(v.key == choices[i].key);
      CHECK(starts_with_one_of(
          v.source, {"paper: ", "the paper is silent", "authors' code", "inferred", "mg", "torchvision"}));
      CHECK(std::count_if(choices.begin(), choices.end(), [&](const auto& c) { return c.key == v.key; }) ==
            1);
    }
    for (const Row& row : kTable) {
      CAPTURE(row.key);
      CHECK(std::any_of(choices.begin(), choices.end(), [&](const auto& c) { return c.key == row.key; }));
    }
  }
}

TEST_CASE("a value's source is the preset's, the default's, or that it was given by hand") {
  Config config = Config::from_preset("authors");
  CHECK(config.source("cache.fps") == "authors' code: SMG's clips are re-encoded at 16 frames a second");
  CHECK(config.source("preset") == "--preset");
  CHECK(config.source("video.width") == "torchvision");  // the preset says nothing
  config.set("cache.fps=25");
  CHECK(config.source("cache.fps") == "given by hand");
  config.set("video.width=32");
  CHECK(config.source("video.width") == "given by hand");
  config.set("video.width=64");
  CHECK(config.source("video.width") == "torchvision");
}

TEST_CASE("presets mean what the data pipeline is told") {
  const InputSpec authors = input_spec(Config::from_preset("authors"));
  CHECK(authors.resize_height == 128);
  CHECK(authors.resize_width == 171);
  CHECK(authors.divisor == 1);
  CHECK(authors.train_sampling == FrameSampling::authors_random);
  CHECK(authors.test_sampling == FrameSampling::authors_random);
  CHECK(authors.short_clips == ShortClips::paper_random);
  CHECK(decode_spec(Config::from_preset("authors")) == DecodeSpec{224, 224, ResizeFilter::ffmpeg, 16});
  CHECK_FALSE(augmentation(Config::from_preset("authors")).random_crop);
  CHECK(augmentation(Config::from_preset("mini")).random_crop);
  const InputSpec sane = input_spec(Config::from_preset("sane"));
  CHECK(sane.divisor == 255);
  CHECK(sane.mean == InputSpec{}.mean);
  CHECK(sane.stddev == InputSpec{}.stddev);
  CHECK(sane.train_sampling == FrameSampling::segment_random);
  CHECK_FALSE(contrastive_model_config(Config::from_preset("paper"), 100).cosine);
  CHECK(contrastive_model_config(Config::from_preset("authors"), 100).cosine);
}

TEST_CASE("colour statistics are three numbers, and resizing has two sides") {
  const auto error = [](const std::string& assignment) {
    Config config;
    config.set(assignment);
    try {
      input_spec(config);
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::config);
      return std::string(e.what());
    }
    return std::string("no error");
  };
  for (const char* bad : {"", "0.4", "0.4,0.3", "0.4,0.3,", "0.4,0.3,0.2,0.1", "0.4;0.3;0.2", "0.4,0.3,x",
                          "0.4,0.3,0.2 ", "nan,0.3,0.2"}) {
    CAPTURE(bad);
    const std::string said = error(std::string("video.mean=") + bad);
    CHECK(said.find("video.mean expects three numbers") == 0);
    CHECK(said.find("got '" + std::string(bad) + "'") != std::string::npos);
  }
  CHECK(error("video.std=0.2,0,0.2").find("above 0, got '0.2,0,0.2'") != std::string::npos);
  CHECK(error("video.resize_height=128").find("video.resize_width = 0") != std::string::npos);
  Config config;
  config.set("video.mean=0,-0.5,1e-2");
  CHECK(input_spec(config).mean == std::array<float, 3>{0, -0.5f, 0.01f});
}

}  // namespace mg
