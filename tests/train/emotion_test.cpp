#include <doctest/doctest.h>

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
  const auto samples = emotion_samples(labels, emotions, manifest, {5, 1, 3, 0, -1, 7}, 10);
  REQUIRE(samples.size() == 3);
  CHECK(samples[0].gestures == std::vector<std::int32_t>{3, 5});
  CHECK(samples[0].split == "val");
  CHECK(samples[0].emotion == 1);
  CHECK(samples[1].gestures == std::vector<std::int32_t>{0, 1});
  CHECK(samples[2].gestures.empty());
  CHECK(samples[2].split == "test");
  CHECK(emotion_samples(labels, emotions, manifest, {5, 1, 3, 0, 2, 7}, 2)[0].gestures ==
        std::vector<std::int32_t>{2, 5});
  CHECK_THROWS_WITH_AS(emotion_samples(labels, {"glad"}, manifest, {5, 1, 3, 0, 2, 7}, 2),
                       doctest::Contains("e.csv:2: emotion 'sad'"), Error);
  manifest.clips[0].split = "train";
  CHECK_THROWS_WITH_AS(emotion_samples(labels, emotions, manifest, {5, 1, 3, 0, 2, 7}, 2),
                       doctest::Contains("e.csv:2: video 'b' has no split"), Error);
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
  CHECK_THROWS_WITH_AS(class_numbers(manifest, classes), doctest::Contains("m.csv:7: label 'nodd'"), Error);
  CHECK_THROWS_WITH_AS(class_numbers(manifest, classes), doctest::Contains("nearest is 'nod'"), Error);
}

}  // namespace mg
