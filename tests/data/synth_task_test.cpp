// The task that the synthetic gestures pose: time matters, and neither pixels nor persons give it away.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "data/synth/gesture.h"
#include "data/synth/plan.h"
#include "data/synth/recording.h"

namespace mg::synth {

namespace {

constexpr int kSampled = 8, kSide = 32;

// Clips as a pixel comparison sees them: 8 frames from the centres of equal parts, 32 x 32, grey.
struct SmallClip {
  int gesture;
  std::vector<float> pixels;
};

void shrink(const Canvas& canvas, std::vector<float>& out) {
  for (int cell = 0; cell < kSide * kSide; ++cell) {
    const int top = cell / kSide * kHeight / kSide, bottom = (cell / kSide + 1) * kHeight / kSide;
    const int left = cell % kSide * kWidth / kSide, right = (cell % kSide + 1) * kWidth / kSide;
    float sum = 0;
    for (int y = top; y < bottom; ++y) {
      const float* row = canvas.row(y);
      for (int x = left; x < right; ++x)
        sum += 0.299f * row[3 * x] + 0.587f * row[3 * x + 1] + 0.114f * row[3 * x + 2];
    }
    out.push_back(sum / static_cast<float>((bottom - top) * (right - left)));
  }
}

std::vector<SmallClip> small_clips(const std::vector<RecordingPlan>& plans, std::string_view split) {
  std::vector<SmallClip> clips;
  Canvas canvas(kWidth, kHeight);
  for (const RecordingPlan& plan : plans) {
    if (plan.split != split) continue;
    const Recording recording(1, plan.subject, plan.name, plan.gestures);
    for (const GestureSpan& span : recording.motion().gestures()) {
      SmallClip clip{span.gesture, {}};
      const int frames = span.annotated_last - span.annotated_first + 1;
      for (int i = 0; i < kSampled; ++i) {
        recording.render(span.annotated_first + (2 * i + 1) * frames / (2 * kSampled), canvas);
        shrink(canvas, clip.pixels);
      }
      clips.push_back(std::move(clip));
    }
  }
  return clips;
}

double nearest_neighbour_accuracy(const std::vector<SmallClip>& known, const std::vector<SmallClip>& asked) {
  int right = 0;
  for (const SmallClip& clip : asked) {
    float nearest = std::numeric_limits<float>::max();
    int answer = -1;
    for (const SmallClip& other : known) {
      float distance = 0;
      for (std::size_t i = 0; i < clip.pixels.size(); ++i) {
        const float difference = clip.pixels[i] - other.pixels[i];
        distance += difference * difference;
      }
      if (distance < nearest) {
        nearest = distance;
        answer = other.gesture;
      }
    }
    right += answer == clip.gesture ? 1 : 0;
  }
  return 100.0 * right / static_cast<double>(asked.size());
}

}  // namespace

TEST_CASE("the nearest clip of another person is at most twice as good as chance") {
  const std::vector<RecordingPlan> plans = make_plan(600, 1);
  const std::vector<SmallClip> known = small_clips(plans, "train"), asked = small_clips(plans, "test");
  REQUIRE(known.size() == 360);
  REQUIRE(asked.size() == 150);
  // Of 150 clips: a standard deviation is 2.3 points at chance (8.3 %).
  const double accuracy = nearest_neighbour_accuracy(known, asked);
  MESSAGE("pixel nearest neighbour across persons: " << accuracy << " %");
  CHECK(accuracy <= 2 * 100.0 / kGestures);
  // The measure itself works: a clip's nearest one is itself.
  CHECK(nearest_neighbour_accuracy(asked, asked) == 100);
}

TEST_CASE("both gestures of a pair have the same poses, in opposite order") {
  const Manner manner{1.1f, 1};
  for (int gesture = 0; gesture < kGestures; gesture += 2) {
    for (std::uint32_t trial = 0; trial < 20; ++trial) {
      auto poses_of = [&](int which) {
        Draws draws(9, "person", "trial", trial);
        const Pose posture = draw_posture(draws, manner);
        return draw_gesture(which, posture, draws, manner);
      };
      const GesturePoses there = poses_of(gesture), back = poses_of(gesture + 1);
      auto equal = [](const Pose& a, const Pose& b) {
        return a.lean == b.lean && a.roll == b.roll && a.shoulders == b.shoulders && a.yaw == b.yaw &&
               a.pitch == b.pitch && a.tilt == b.tilt && a.fingers == b.fingers &&
               a.hands[0].raise == b.hands[0].raise && a.hands[1].raise == b.hands[1].raise &&
               a.hands[0].desk.x == b.hands[0].desk.x && a.hands[1].face.y == b.hands[1].face.y;
      };
      CAPTURE(gesture);
      CHECK(equal(there.first, back.last));
      CHECK(equal(there.last, back.first));
      CHECK_FALSE(equal(there.first, there.last));
    }
  }
}

TEST_CASE("gestures are smooth, last 16 to 40 frames, and are annotated within 3 frames") {
  std::set<int> lengths;
  for (int person = 0; person < 20; ++person) {
    const std::string name = "p" + std::to_string(person);
    const std::vector<int> gestures = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const Person looks = draw_person(4, name);
    const Motion motion(4, name, gestures, looks.manner, looks.tempo);
    REQUIRE(motion.gestures().size() == gestures.size());
    int before = -1;
    for (std::size_t i = 0; i < gestures.size(); ++i) {
      const GestureSpan& span = motion.gestures()[i];
      CAPTURE(name);
      CAPTURE(i);
      CHECK(span.gesture == gestures[i]);
      const int length = span.annotated_last - span.annotated_first + 1;
      lengths.insert(length);
      CHECK(length >= 16);
      CHECK(length <= 40);
      CHECK(std::abs(span.annotated_first - span.first) <= 3);
      CHECK(std::abs(span.annotated_last - span.last) <= 6);
      CHECK(span.annotated_first > before);
      before = span.annotated_last;
    }
    CHECK(before < motion.frames());
    for (int frame = 1; frame < motion.frames(); ++frame) {
      const Pose last = motion.pose_at(frame - 1), now = motion.pose_at(frame);
      REQUIRE(std::abs(now.yaw - last.yaw) < 0.36f);
      REQUIRE(std::abs(now.pitch - last.pitch) < 0.2f);
      REQUIRE(std::abs(now.shoulders - last.shoulders) < 3);
      for (const std::size_t side : {std::size_t{0}, std::size_t{1}}) {
        REQUIRE(std::abs(now.hands[side].raise - last.hands[side].raise) < 0.35f);
      }
    }
  }
  CHECK(lengths.size() > 12);
}

TEST_CASE("subjects look differently, and a subject's recordings have different rooms") {
  Canvas canvas(kWidth, kHeight), other(kWidth, kHeight);
  const std::vector<int> gestures = {4};
  auto difference = [&] {
    double sum = 0;
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < 3 * kWidth; ++x) sum += std::abs(canvas.row(y)[x] - other.row(y)[x]);
    }
    return sum / (3.0 * kWidth * kHeight);
  };
  for (int i = 0; i < 8; ++i) {
    const std::string subject = "s" + std::to_string(i);
    Recording(1, subject, subject + "_1", gestures).render(0, canvas);
    Recording(1, subject, subject + "_2", gestures).render(0, other);
    CHECK(difference() > 0.02);
    Recording(1, subject + "b", subject + "_1", gestures).render(0, other);
    CHECK(difference() > 0.02);
    Recording(1, subject, subject + "_1", gestures).render(0, other);
    CHECK(difference() == 0);
  }
}

TEST_CASE("plans hold as many clips as asked, in videos of 8 to 14, for disjoint subjects") {
  for (int clips = kMinClips; clips < 400; ++clips) {
    CAPTURE(clips);
    int all = 0;
    std::map<std::string, std::string_view> split_of;
    std::map<std::string_view, int> clips_of;
    std::map<std::string_view, std::array<int, 2>> emotions_of;
    std::map<std::string_view, int> longest;
    std::set<std::string> names;
    for (const RecordingPlan& plan : make_plan(clips, 3)) {
      const int length = static_cast<int>(plan.gestures.size());
      CHECK(plan.moods.size() == plan.gestures.size());
      CHECK(length >= kShortestVideo);
      longest[plan.split] = std::max(longest[plan.split], length);
      all += length;
      clips_of[plan.split] += length;
      ++emotions_of[plan.split][static_cast<std::size_t>(plan.emotion)];
      CHECK(names.insert(plan.name).second);
      CHECK(split_of.emplace(plan.subject, plan.split).first->second == plan.split);
    }
    CHECK(all == clips);
    for (const auto& [split, counts] : emotions_of) CHECK(std::abs(counts[0] - counts[1]) <= 1);
    CHECK(clips_of.size() == 3);
    for (const auto& [split, count] : clips_of) {
      CHECK((longest[split] <= kLongestVideo || (count == kLongestVideo + 1 && longest[split] == count)));
    }
  }
  // At the size of the documentation: enough persons to generalise to others.
  std::map<std::string_view, std::set<std::string>> subjects;
  for (const RecordingPlan& plan : make_plan(600, 1)) subjects[plan.split].insert(plan.subject);
  CHECK(subjects["train"].size() >= 18);
  CHECK(subjects["val"].size() >= 4);
  CHECK(subjects["test"].size() >= 7);
}

TEST_CASE("gestures are independent of subjects' looks, and about equally frequent in every split") {
  const std::vector<RecordingPlan> plans = make_plan(6000, 2);
  std::map<std::string, std::vector<int>> counts;
  std::map<std::string, int> clips;
  for (const RecordingPlan& plan : plans) {
    const Person person = draw_person(2, plan.subject);
    for (const std::string& group :
         {std::string(plan.split), std::string(person.glasses ? "glasses" : "no glasses"),
          std::string(person.manner.hand == 0 ? "left" : "right"),
          std::string(person.hair_style <= HairStyle::parted ? "short hair" : "long hair")}) {
      counts[group].resize(kGestures);
      for (const int gesture : plan.gestures) ++counts[group][static_cast<std::size_t>(gesture)];
      clips[group] += static_cast<int>(plan.gestures.size());
    }
  }
  REQUIRE(counts.size() == 9);
  for (const auto& entry : counts) {
    const std::string& group = entry.first;
    // Moods last, which makes counts vary about 1.3 times as much as independent draws would.
    const double expected = clips[group] / static_cast<double>(kGestures);
    for (const int count : entry.second) {
      CAPTURE(group);
      CHECK(std::abs(count - expected) < 4.5 * 1.3 * std::sqrt(expected));
    }
  }
}

}  // namespace mg::synth
