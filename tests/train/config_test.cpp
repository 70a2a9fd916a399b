#include "train/config.h"

#include <doctest/doctest.h>

#include <set>

#include "engine/file.h"
#include "temporary_folder.h"
#include "train/settings.h"

namespace mg {

namespace {

// The text of the Error that run throws, which must be one of the configuration.
template <class Run>
std::string config_error(Run run) {
  try {
    run();
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::config);
    return e.what();
  }
  FAIL("expected an error");
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("every key is named once, documented, and its default is within its range") {
  std::set<std::string> names;
  for (const ConfigKey& key : config_keys()) {
    CAPTURE(key.key);
    CHECK(names.insert(key.key).second);
    CHECK(!key.doc.empty());
    CHECK(!key.source.empty());
    Config config;
    if (std::holds_alternative<std::string>(key.initial)) {
      CHECK_NOTHROW(config.set(key.key + "=" + std::get<std::string>(key.initial)));
    } else {
      CHECK_NOTHROW(config.set(key.key + "=" + config.printed(key.key)));
    }
    CHECK(config.differences(Config()).empty());
  }
}

TEST_CASE("a configuration reads back from its own TOML as it was, whatever its texts hold") {
  test::TemporaryFolder folder;
  for (const Preset& preset : presets()) {
    Config config = Config::from_preset(preset.name);
    config.set("text.vocabulary=a \"quoted\" \\ name\twith tab\nand line");
    config.set("contrastive.lr_video=1.2345678901234567e-05");
    write_whole_file(folder / "config.toml", config.to_toml());
    Config again;
    again.load_file(folder / "config.toml");
    CHECK(again.differences(config).empty());
    CHECK(again.text("text.vocabulary") == config.text("text.vocabulary"));
    CHECK(again.real("contrastive.lr_video") == 1.2345678901234567e-05);
  }
}

TEST_CASE("later values win, and differences name both sides") {
  test::TemporaryFolder folder;
  write_whole_file(folder / "c.toml", "seed = 5\n[video]\nframes = 12\nsize = 48\n");
  Config config = Config::from_preset("nano");
  CHECK(config.integer("video.frames") == 8);
  config.load_file(folder / "c.toml");
  config.set("video.frames=4");
  CHECK(config.integer("seed") == 5);
  CHECK(config.integer("video.frames") == 4);
  CHECK(config.integer("video.size") == 48);
  Config other = config;
  other.set("video.frames=6");
  const auto differences = config.differences(other);
  REQUIRE(differences.size() == 1);
  CHECK(differences[0].line == "video.frames: 4 here, 6 there");
}

TEST_CASE("a wrong key or value is named with its place") {
  Config config;
  CHECK(contains(config_error([&] { config.set("video.frame=3"); }), "did you mean 'video.frames'"));
  CHECK(contains(config_error([&] { config.set("video.frames=many"); }), "expects an integer, got 'many'"));
  CHECK(contains(config_error([&] { config.set("video.frames=0"); }), "in [1, 512]"));
  CHECK(contains(config_error([&] { config.set("video.frames=3.5"); }), "expects an integer"));
  CHECK(contains(config_error([&] { config.set("contrastive.lr_head=nan"); }), "got nan"));
  CHECK(contains(config_error([&] { config.set("video.input=grey"); }), "one of rgb, motion"));
  CHECK(contains(config_error([&] { config.set("augment.flip=yes"); }), "true or false"));
  CHECK(contains(config_error([&] { config.set("video.frames"); }), "section.name=value"));
  CHECK(contains(config_error([&] { Config::from_preset("minni"); }), "mini"));

  test::TemporaryFolder folder;
  const auto load = [&](const std::string& text) {
    write_whole_file(folder / "bad.toml", text);
    return config_error([&] { config.load_file(folder / "bad.toml"); });
  };
  CHECK(contains(load("seed = 1\n[video]\nframs = 3\n"), "bad.toml:3: unknown key 'video.frams'"));
  CHECK(contains(load("[video]\n\nframes = \"3\"\n"), "bad.toml:3: video.frames expects an integer"));
  CHECK(contains(load("[video\n"), "bad.toml:1"));
  CHECK(contains(load("[video]\nframes = [1, 2]\n"), "bad.toml:2"));
  CHECK(contains(config_error([&] { config.load_file(folder / "none.toml"); }), "none.toml"));
}

TEST_CASE("the nano preset costs at most 0.2 GFLOP a clip and training step") {
  const Config config = Config::from_preset("nano");
  const auto size = config.integer("video.size");
  const auto macs =
      multiply_adds(contrastive_model_config(config, 100).video, config.integer("video.frames"), size, size);
  CHECK(2 * 3 * macs <= 200'000'000);
  CHECK(macs > 1'000'000);
}

TEST_CASE("the cost of torchvision's r2plus1d_18 is the published one") {
  CHECK(multiply_adds(R2Plus1dConfig{}, 16, 112, 112) == doctest::Approx(40.519e9).epsilon(1e-4));
}

TEST_CASE("every preset makes models") {
  for (const Preset& preset : presets()) {
    CAPTURE(preset.name);
    const Config config = Config::from_preset(preset.name);
    CHECK_NOTHROW(contrastive_model_config(config, 100));
    CHECK_NOTHROW(emotion_config(config, 12, 2));
    CHECK(input_spec(config).height <= decode_spec(config).height);
    CHECK(input_spec(config).width <= decode_spec(config).width);
  }
  Config config;
  config.set("emotion.heads=7");
  CHECK(contains(config_error([&] { emotion_config(config, 12, 2); }), "emotion.heads = 7 must divide"));
}

}  // namespace mg
