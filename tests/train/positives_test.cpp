#include <doctest/doctest.h>

#include <algorithm>

#include "train/stages/contrastive_stage.h"

namespace mg {

namespace {

std::vector<float> values(const Tensor& t) { return {t.f32(), t.f32() + t.count()}; }

// Two captions of label 0, one of them shared with label 1, and label 2 alone.
const std::vector<CaptionedClip> kClips{{"wave", 0}, {"greet", 0}, {"greet", 1}, {"nod", 2}, {"wave", 0}};

}  // namespace

TEST_CASE("a text is a positive of the clips that carry it and of those with its label") {
  const BatchCaptions captions = distinct_captions(kClips);
  CHECK(captions.texts == std::vector<std::string>{"wave", "greet", "nod"});
  CHECK(captions.counts == std::vector<std::int32_t>{2, 2, 1});
  CHECK(captions.labels == std::vector<std::int32_t>{0, 0, 2});
  CHECK(values(positives(kClips, captions, {})) ==
        std::vector<float>{1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0});
}

TEST_CASE("mixup shares the positives as it shares the frames, and a text of both counts in full") {
  const BatchCaptions captions = distinct_captions(kClips);
  const Mix mix{{1, 2, 3, 4, 0}, {0.75f, 0.5f, 1, 0.625f, 0.875f}};
  CHECK(values(positives(kClips, captions, mix)) ==
        std::vector<float>{1, 1, 0, 0.5f, 1, 0, 0, 1, 0, 0.375f, 0.375f, 0.625f, 1, 1, 0});
}

TEST_CASE("Texts that differ by their clip are compared one by one") {
  const std::vector<CaptionedClip> clips{{"rub eyes", 0}, {"touch hat", 1}, {"rub eyes", 0}};
  const BatchCaptions each = caption_of_each(clips), distinct = distinct_captions(clips);
  CHECK(distinct.of_clip == std::vector<std::int32_t>{0, 1, 0});
  CHECK(each.counts == std::vector<std::int32_t>{1, 1, 1});
  const Tensor target = positives(clips, each, {});
  const std::vector<float> expected{1, 0, 1, 0, 1, 0, 1, 0, 1};
  CHECK(std::equal(expected.begin(), expected.end(), target.f32()));
}

}  // namespace mg
