#include "train/metrics.h"

#include <doctest/doctest.h>

#include <limits>

#include "engine/error.h"

namespace mg {

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Counts = std::vector<std::vector<std::int64_t>>;

Classification of(const std::vector<float>& scores, const std::vector<std::int32_t>& targets, int classes) {
  std::vector<std::string> labels;
  labels.reserve(static_cast<std::size_t>(classes));
  for (int k = 0; k < classes; ++k) labels.emplace_back(1, static_cast<char>('a' + k));
  return classify(scores, targets, labels);
}

}  // namespace

TEST_CASE("metrics: three classes by hand") {
  // a: right, right, taken for b; b: right, taken for a; c: taken for b
  const Classification c = of({3, 1, 2, 9, 0, 0, 1, 2, 0, 0, 5, 1, 4, 3, 2, 0, 2, 1}, {0, 0, 0, 1, 1, 2}, 3);
  CHECK(c.n == 6);
  CHECK(c.confusion == Counts{{2, 1, 0}, {1, 1, 0}, {0, 1, 0}});
  CHECK(c.top1 == doctest::Approx(50));
  CHECK(c.top5 == 100);  // there are three classes
  REQUIRE(c.classes.size() == 3);
  CHECK(c.classes[0].label == "a");
  CHECK(c.classes[0].n == 3);
  CHECK(c.classes[0].recall == doctest::Approx(200.0 / 3));
  CHECK(c.classes[0].precision == doctest::Approx(200.0 / 3));
  CHECK(c.classes[0].f1 == doctest::Approx(200.0 / 3));
  CHECK(c.classes[1].recall == doctest::Approx(50));
  CHECK(c.classes[1].precision == doctest::Approx(100.0 / 3));
  CHECK(c.classes[1].f1 == doctest::Approx(40));
  CHECK(c.classes[2].recall == 0);
  CHECK(c.classes[2].precision == 0);
  CHECK(c.classes[2].f1 == 0);
  CHECK(c.mean_class == doctest::Approx((200.0 / 3 + 50) / 3));
  CHECK(c.macro_f1 == doctest::Approx((200.0 / 3 + 40) / 3));
  CHECK(c.constant_label == "a");
  CHECK(c.constant_top1 == doctest::Approx(50));
  CHECK(c.constant_top5 == 100);
}

TEST_CASE("metrics: Wilson's interval") {
  const Classification half = of({1, 0, 1, 0, 1, 0, 1, 0}, {0, 0, 1, 1}, 2);
  CHECK(half.top1_low == doctest::Approx(15.0039).epsilon(1e-5));
  CHECK(half.top1_high == doctest::Approx(84.9961).epsilon(1e-5));
  const Classification all = of({1, 0, 1, 0}, {0, 0}, 2);
  CHECK(all.top1_low == doctest::Approx(34.2380).epsilon(1e-5));
  CHECK(all.top1_high == doctest::Approx(100));
  CHECK(all.top1_high <= 100);
  const Classification none = of({1, 0, 1, 0}, {1, 1}, 2);
  CHECK(none.top1_low == doctest::Approx(0));
  CHECK(none.top1_low >= 0);
  CHECK(none.top1_high == doctest::Approx(65.7620).epsilon(1e-5));
}

TEST_CASE("metrics: ties count against the true class, in the confusion too") {
  // Seven classes, all scores equal: the true one is the last of seven.
  const Classification equal = of(std::vector<float>(14, 0.5F), {0, 6}, 7);
  CHECK(equal.top1 == 0);
  CHECK(equal.top5 == 0);
  CHECK(equal.confusion[0][1] == 1);
  CHECK(equal.confusion[6][0] == 1);
  // A tie of the true class with one other; a tie of others above it; five above or beside it.
  CHECK(of({1, 2, 2}, {2}, 3).confusion == Counts{{0, 0, 0}, {0, 0, 0}, {0, 1, 0}});
  CHECK(of({1, 2, 2}, {1}, 3).confusion == Counts{{0, 0, 0}, {0, 0, 1}, {0, 0, 0}});
  CHECK(of({1, 2, 2}, {0}, 3).confusion == Counts{{0, 1, 0}, {0, 0, 0}, {0, 0, 0}});
  CHECK(of({9, 8, 7, 6, 5, 5}, {4}, 6).top5 == 0);
  CHECK(of({9, 8, 7, 6, 5, 4}, {4}, 6).top5 == 100);
  CHECK(of({0.0F, -0.0F}, {0}, 2).top1 == 0);
}

TEST_CASE("metrics: a score that is not finite ranks last") {
  CHECK(of({kNan, 1, 2}, {0}, 3).top1 == 0);
  CHECK(of({kInfinity, 1, 2}, {0}, 3).top1 == 0);
  CHECK(of({kInfinity, 1, kNan}, {1}, 3).top1 == 100);
  CHECK(of({-kInfinity, std::numeric_limits<float>::lowest(), kNan}, {1}, 3).top1 == 100);
  CHECK(of({kNan, kNan, kNan}, {0}, 3).confusion[0] == std::vector<std::int64_t>{0, 1, 0});
  CHECK(of({kNan, kNan, kNan, kNan, kNan, kNan}, {0}, 6).top5 == 0);
}

TEST_CASE("metrics: a class that is absent") {
  // c never occurs, but is predicted once; d neither occurs nor is predicted.
  const Classification c = of({1, 0, 0, 0, 0, 0, 1, 0}, {0, 1}, 4);
  CHECK(c.classes[2].n == 0);
  CHECK(c.classes[2].recall == 0);
  CHECK(c.classes[2].precision == 0);
  CHECK(c.mean_class == doctest::Approx(50));       // a and b occur
  CHECK(c.macro_f1 == doctest::Approx(100.0 / 3));  // a, b and c count
}

TEST_CASE("metrics: no samples, no classes, one class") {
  const Classification none = of({}, {}, 3);
  CHECK(none.n == 0);
  for (double figure : {none.top1, none.top5, none.mean_class, none.macro_f1, none.constant_top1})
    CHECK(figure == 0);
  CHECK(none.top1_low == 0);
  CHECK(none.top1_high == 100);
  CHECK(none.constant_label.empty());
  CHECK(none.classes.size() == 3);
  CHECK(of({}, {}, 0).n == 0);
  CHECK_FALSE(to_table(none, true).empty());
  const Classification one = of({0.25F}, {0}, 1);
  CHECK(one.top1 == 100);
  CHECK(one.constant_top5 == 100);
}

TEST_CASE("metrics: what does not fit together is refused") {
  CHECK_THROWS_WITH_AS(of({1, 2, 3}, {0}, 2), "classify: expected 2 scores (1 samples x 2 classes), got 3",
                       Error);
  CHECK_THROWS_WITH_AS(of({1, 2}, {2}, 2), "classify: sample 0: expected a class of 0 .. 1, got 2", Error);
  CHECK_THROWS_AS(of({1, 2}, {-1}, 2), Error);
}

TEST_CASE("metrics: the constant predictor on the class counts of SMG's test set") {
  const std::vector<int> counts{13, 3, 15, 2, 49, 1, 3, 191, 243, 34, 8, 30, 4, 5, 0, 0, 9};
  std::vector<std::int32_t> targets;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    targets.insert(targets.end(), static_cast<std::size_t>(counts[k]), static_cast<std::int32_t>(k));
  }
  REQUIRE(targets.size() == 610);
  const Classification c = of(std::vector<float>(targets.size() * counts.size()), targets, 17);
  CHECK(c.constant_top1 == doctest::Approx(39.84).epsilon(1e-4));
  CHECK(c.constant_top5 == doctest::Approx(89.67).epsilon(1e-4));
  CHECK(c.constant_label == "i");
  // That predictor as scores: it reaches what is said of it.
  std::vector<float> scores;
  for (std::size_t i = 0; i < targets.size(); ++i) scores.insert(scores.end(), counts.begin(), counts.end());
  const Classification constant = of(scores, targets, 17);
  CHECK(constant.top1 == doctest::Approx(c.constant_top1));
  CHECK(constant.top5 == doctest::Approx(c.constant_top5));
  CHECK(constant.mean_class == doctest::Approx(100.0 / 15));
}

TEST_CASE("metrics: JSON and table") {
  const Classification c =
      classify(std::vector<float>{1, 0, 1, 0}, std::vector<std::int32_t>{0, 1}, {"x", "y\n\x1b"});
  const nlohmann::ordered_json json = to_json(c);
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  CHECK(keys == std::vector<std::string>{"n", "top1", "top5", "mean_class", "macro_f1", "top1_interval",
                                         "labels", "confusion", "per_class", "constant"});
  CHECK(json["confusion"].dump() == "[[1,0],[1,0]]");
  CHECK(json["top1_interval"].size() == 2);
  CHECK(json["per_class"][0].dump() ==
        R"({"label":"x","n":1,"recall":100.0,"precision":50.0,"f1":66.66666666666667})");
  CHECK(json["constant"].dump() == R"({"label":"x","top1":50.0,"top5":100.0})");
  const std::string table = to_table(c), classes = to_table(c, true);
  CHECK(table.find("50.00 %") != std::string::npos);
  CHECK(table.find("always \"x\"") != std::string::npos);
  CHECK(classes.starts_with(table));
  CHECK(classes.find("y??") != std::string::npos);
  CHECK(classes.find('\x1b') == std::string::npos);
}

}  // namespace mg
