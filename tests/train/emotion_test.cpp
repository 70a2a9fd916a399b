#include <doctest/doctest.h>

#include "engine/file.h"
#include "temporary_folder.h"
#include "train/classes.h"
#include "train/stages/emotion_stage.h"

namespace mg {

namespace {

Clip clip(const std::string& video, std::int64_t first, const std::string& split) {
  Clip c;
  c.name = video + ".mp4";
  c.video = video;
  c.frames = FrameRange{first, first + 5};
  c.split = split;
  c.label = c.caption = "x";
  return c;
}

GestureTokens classes_as_tokens(std::int32_t count) {
  GestureTokens tokens{count, {}};
  for (std::int32_t k = 0; k < count; ++k) tokens.of_class.push_back({k});
  return tokens;
}

}  // namespace

TEST_CASE("a video's gestures come in time order, without those that could not be decoded") {
  Manifest manifest;
  manifest.path = "m.csv";
  manifest.clips = {clip("b", 30, "val"),   clip("a", 20, "train"), clip("b", 0, "val"),
                    clip("a", 10, "train"), clip("b", 15, "val"),   clip("c", 0, "train")};
  EmotionLabels labels;
  labels.path = "e.csv";
  labels.videos = {{2, "b", "sad", "", ""}, {3, "a", "glad", "", ""}, {4, "nobody", "sad", "", "test"}};
  const std::vector<std::string> emotions = distinct_emotions(labels);
  CHECK(emotions == std::vector<std::string>{"glad", "sad"});
  const GestureTokens classes = classes_as_tokens(8);
  const auto samples = emotion_samples(labels, emotions, manifest, {5, 1, 3, 0, -1, 7}, classes, 10);
  REQUIRE(samples.size() == 2);  // nobody has no clips
  CHECK(samples[0].tokens == std::vector<std::int32_t>{3, 5});
  CHECK(samples[0].split == "val");
  CHECK(samples[0].emotion == 1);
  CHECK(samples[1].tokens == std::vector<std::int32_t>{0, 1});
  CHECK(emotion_samples(labels, emotions, manifest, {5, 1, 3, 0, 2, 7}, classes, 2)[0].tokens ==
        std::vector<std::int32_t>{2, 5});
  CHECK_THROWS_WITH_AS(emotion_samples(labels, {"glad"}, manifest, {5, 1, 3, 0, 2, 7}, classes, 2),
                       doctest::Contains("e.csv:2: emotion 'sad'"), Error);
  manifest.clips[0].split = "train";
  CHECK_THROWS_WITH_AS(emotion_samples(labels, emotions, manifest, {5, 1, 3, 0, 2, 7}, classes, 2),
                       doctest::Contains("e.csv:2: video 'b' has no split"), Error);
}

TEST_CASE("gestures are read as classes, or as the word pieces of their captions") {
  const test::TemporaryFolder folder;
  const std::vector<GestureClass> gestures{{"a", "touch ear"}, {"b", ""}, {"c", "ear, touched"}};
  const std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\ntouch\near\n##ed\n,\n";
  write_whole_file(folder / "vocab.txt", vocabulary);
  Config config;
  write_whole_file(folder / "config.toml", config.to_toml());
  const GestureTokens classes = gesture_tokens(RunDirectory(folder.path), gestures);
  CHECK(classes.kinds == 3);
  CHECK(classes.of_class == std::vector<std::vector<std::int32_t>>{{0}, {1}, {2}});
  config.set("emotion.tokens=wordpieces");
  write_whole_file(folder / "config.toml", config.to_toml());
  const GestureTokens pieces = gesture_tokens(RunDirectory(folder.path), gestures);
  CHECK(pieces.kinds == 8);
  CHECK(pieces.of_class == std::vector<std::vector<std::int32_t>>{{4, 5}, {}, {5, 7, 4, 6}});

  Manifest manifest;
  manifest.clips = {clip("v", 0, "train"), clip("v", 10, "train"), clip("v", 20, "train"),
                    clip("w", 0, "train")};
  EmotionLabels labels;
  labels.videos = {{2, "v", "sad", "", ""}, {3, "w", "sad", "", ""}};
  const auto samples = emotion_samples(labels, {"sad"}, manifest, {2, 1, 0, 1}, pieces, 100);
  CHECK(samples[0].tokens == std::vector<std::int32_t>{5, 7, 4, 6, 4, 5});
  CHECK(samples[1].tokens.empty());
  // The last tokens, not the last gestures.
  CHECK(emotion_samples(labels, {"sad"}, manifest, {2, 1, 0, 1}, pieces, 3)[0].tokens ==
        std::vector<std::int32_t>{6, 4, 5});
}

TEST_CASE("classes are the sorted labels, and an unknown one is named with its line") {
  Manifest manifest;
  manifest.path = "m.csv";
  for (const char* label : {"wave", "nod", "wave"}) {
    Clip c;
    c.label = label;
    c.caption = std::string("a person who ") + label + "s";
    c.line = 7;
    manifest.clips.push_back(c);
  }
  const auto classes = gesture_classes(manifest.clips);
  CHECK(labels_of(classes) == std::vector<std::string>{"nod", "wave"});
  CHECK(captions_of(classes)[0] == "a person who nods");
  CHECK(class_numbers(manifest, classes) == std::vector<std::int32_t>{1, 0, 1});
  manifest.clips[1].label = "nodd";
  CHECK(class_numbers(manifest, classes) == std::vector<std::int32_t>{1, -1, 1});
  CHECK_NOTHROW(require_known_labels(manifest, {0, 2}, classes, "the model knows", ""));
  CHECK_THROWS_WITH_AS(
      require_known_labels(manifest, {0, 1}, classes, "the model knows", "; do this"),
      "m.csv:7: label 'nodd' is none of the 2 that the model knows; the nearest is 'nod'; do this", Error);
}

}  // namespace mg
