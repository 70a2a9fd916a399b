#include "data/emotion_join.h"

#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

Manifest manifest_of(const std::vector<std::string>& videos) {
  Manifest manifest{"m.csv", {}, true, {}};
  for (const std::string& video : videos) {
    Clip clip = clip_of("c.mp4", static_cast<std::int64_t>(manifest.clips.size()) + 2);
    clip.video = video;
    manifest.clips.push_back(clip);
  }
  return manifest;
}

EmotionLabels emotions_of(const std::vector<std::string>& videos) {
  EmotionLabels labels{"e.csv", {}, {}};
  for (const std::string& video : videos) {
    labels.videos.push_back({static_cast<std::int64_t>(labels.videos.size()) + 2, video, "sad", "", ""});
  }
  return labels;
}

}  // namespace

TEST_CASE("recordings are joined by name, and those of one side are counted and named") {
  const EmotionJoin join = join_emotions(emotions_of({"b", "none", "a"}), manifest_of({"a", "b", "a", "c"}));
  CHECK(join.clips == std::vector<std::vector<std::size_t>>{{1}, {}, {0, 2}});
  CHECK(join.splits == std::vector<std::string>{"train", "train", "train"});
  CHECK(join.notes == std::vector<std::string>{
                          "e.csv: 1 of 3 videos have no clip in m.csv and are left out: 'none' (line 3)",
                          "m.csv: 1 of 3 videos have no emotion in e.csv: 'c' (line 5)"});
}

TEST_CASE("a recording that is written in two ways is refused, another one of the same file name is not") {
  for (const auto& [emotion, clip] : std::vector<std::pair<std::string, std::string>>{{"x", "x.mp4"},
                                                                                      {"x.avi", "x.mp4"},
                                                                                      {"videos\\x.mp4", "x"},
                                                                                      {"./d/x", "d/X.MKV"},
                                                                                      {"x y", "x_y"}}) {
    CAPTURE(emotion);
    const std::string error = data_error([&] {
      join_emotions(emotions_of({"a", emotion}), manifest_of({"a", clip}));
    });
    CHECK_MESSAGE(error.find("e.csv:3: the video '" + emotion + "' has no clip in m.csv, where '" + clip +
                             "' (line 3) differs only in ") == 0,
                  error);
  }
  for (const auto& [emotion, clip] : std::vector<std::pair<std::string, std::string>>{
           {"s1/x.mp4", "s2/x.mp4"}, {"1.2", "1.3"}, {"ax", "x"}, {"x1", "x2"}}) {
    CAPTURE(emotion);
    CHECK(join_emotions(emotions_of({"a", emotion}), manifest_of({"a", clip})).notes.size() == 2);
  }
}

}  // namespace mg
