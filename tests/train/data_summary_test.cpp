// What training says of its data before it starts.
#include "train/data_summary.h"

#include <doctest/doctest.h>

#include <sstream>

namespace mg {

namespace {

Clip clip(std::int64_t line, const std::string& label, const std::string& split, const std::string& subject,
          const std::string& video) {
  Clip c;
  c.line = line;
  c.name = video + ".mp4";
  c.label = c.caption = label;
  c.split = split;
  c.subject = subject;
  c.video = video;
  return c;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the summary counts splits, and names what is left out, few, new and shared") {
  Manifest m;
  m.path = "m.csv";
  for (std::int64_t i = 0; i < 6; ++i) m.clips.push_back(clip(2 + i, "nod", "train", "anna", "a"));
  m.clips.push_back(clip(8, "wave", "train", "bob", "b"));
  m.clips.push_back(clip(9, "wave", "train", "bob", "b"));
  m.clips.push_back(clip(10, "bow", "test", "anna", "c"));
  m.clips.push_back(clip(11, "nod", "holdout", "", "a"));
  const std::string text = data_summary(m, {{9, "b.mp4", "b.mp4: no video stream"}});
  CAPTURE(text);
  std::istringstream lines(text);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) {
    CHECK(line.size() <= 80);
    all.push_back(line);
  }
  CHECK(has(text, "train to learn from                          7        2       2           2\n"));
  CHECK(has(text, "test  not used in training                   1        1       1           1\n"));
  CHECK(has(text, "holdout not used                             1        1       -           1\n"));
  CHECK(has(text, "left out: 1 clip that cannot be decoded\n- 1: no video stream\n"));
  CHECK(has(text, "few clips: 1 class has fewer than 5 clips in train: wave (1)"));
  CHECK(has(text, "test: 1 label that train lacks: bow; eval --split test --labels manifest"));
  CHECK(has(text, "warning: 1 person is in train and in test"));
  CHECK(has(text, "warning: 1 recording is in train and in holdout"));
  CHECK_FALSE(has(text, "recording is in train and in test"));
}

TEST_CASE("a manifest without splits is all train") {
  Manifest m;
  m.path = "m.csv";
  m.clips = {clip(2, "nod", "", "", "a"), clip(3, "wave", "", "", "b")};
  const std::string text = data_summary(m, {});
  CHECK(has(text, "train to learn from                          2        2       -           2\n"));
  CHECK_FALSE(has(text, "warning"));
}

TEST_CASE("a shell reads back the words of a line") {
  CHECK(shell_line({"mgtrain", "eval", "--run", "a/b-1.c"}) == "mgtrain eval --run a/b-1.c");
  CHECK(shell_line({"my run", "it's", "$x", "", "~"}) == "'my run' 'it'\\''s' '$x' '' '~'");
}

}  // namespace mg
