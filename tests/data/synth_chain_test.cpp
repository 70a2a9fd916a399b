// The emotions' hidden Markov chains: the forward algorithm against sums over every course of moods.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "data/synth/emotion_chain.h"
#include "data/synth/gesture.h"
#include "engine/error.h"

namespace mg::synth {

namespace {

// All sequences of numbers below base, of a length.
std::vector<std::vector<int>> all_sequences(int base, int length) {
  std::vector<std::vector<int>> all = {{}};
  for (int i = 0; i < length; ++i) {
    std::vector<std::vector<int>> longer;
    for (const auto& sequence : all) {
      for (int next = 0; next < base; ++next) {
        longer.push_back(sequence);
        longer.back().push_back(next);
      }
    }
    all.swap(longer);
  }
  return all;
}

double probability_by_paths(const MarkovChain& chain, const std::vector<int>& gestures) {
  double sum = 0;
  for (const auto& moods :
       all_sequences(static_cast<int>(chain.start.size()), static_cast<int>(gestures.size()))) {
    double path = 1;
    for (std::size_t i = 0; i < gestures.size(); ++i) {
      const auto mood = static_cast<std::size_t>(moods[i]);
      path *= i == 0 ? chain.start[mood] : chain.transitions[static_cast<std::size_t>(moods[i - 1])][mood];
      path *= chain.emissions[mood][static_cast<std::size_t>(gestures[i])];
    }
    sum += path;
  }
  return sum;
}

}  // namespace

TEST_CASE("the chains' rows are distributions") {
  auto check = [](const std::vector<double>& row) {
    double sum = 0;
    for (const double p : row) {
      CHECK(p > 0);
      sum += p;
    }
    CHECK(sum == doctest::Approx(1).epsilon(1e-12));
  };
  for (const MarkovChain& chain : emotion_chains()) {
    check(chain.start);
    REQUIRE(chain.start.size() == kMoods);
    REQUIRE(chain.transitions.size() == kMoods);
    REQUIRE(chain.emissions.size() == kMoods);
    for (const auto& row : chain.transitions) check(row);
    for (const auto& row : chain.emissions) {
      REQUIRE(row.size() == kGestures);
      check(row);
    }
  }
}

TEST_CASE("the forward algorithm sums over the courses of moods") {
  for (const MarkovChain& chain : emotion_chains()) {
    for (std::uint32_t trial = 0; trial < 20; ++trial) {
      Draws draws(3, "trial", "forward", trial);
      const std::vector<int> gestures = draw_sequence(chain, 1 + static_cast<int>(trial % 7), draws).gestures;
      CAPTURE(trial);
      CHECK(std::exp(log_likelihood(chain, gestures)) ==
            doctest::Approx(probability_by_paths(chain, gestures)).epsilon(1e-12));
    }
  }
}

TEST_CASE("the probabilities of all sequences of a length sum to 1") {
  for (const MarkovChain& chain : emotion_chains()) {
    for (const int length : {1, 2, 3, 4}) {
      double sum = 0;
      for (const auto& gestures : all_sequences(kGestures, length))
        sum += std::exp(log_likelihood(chain, gestures));
      CAPTURE(length);
      CHECK(sum == doctest::Approx(1).epsilon(1e-10));
    }
  }
}

TEST_CASE("a gesture that the chain does not know is refused") {
  for (const int gesture : {-1, kGestures}) {
    CHECK_THROWS_AS(log_likelihood(emotion_chains()[0], std::vector<int>{0, gesture}), Error);
  }
}

TEST_CASE("posteriors follow from the likelihoods") {
  Draws draws(5, "trial", "posterior");
  for (int trial = 0; trial < 20; ++trial) {
    const std::vector<int> gestures = draw_sequence(emotion_chains()[1], 5, draws).gestures;
    const double positive = probability_by_paths(emotion_chains()[0], gestures);
    const double negative = probability_by_paths(emotion_chains()[1], gestures);
    const auto posterior = emotion_posterior(gestures);
    CHECK(posterior[0] == doctest::Approx(positive / (positive + negative)));
    CHECK(posterior[0] + posterior[1] == doctest::Approx(1));
    CHECK(most_likely_emotion(gestures) == (negative > positive ? 1 : 0));
  }
}

TEST_CASE("drawn sequences have the chain's frequencies") {
  const MarkovChain& chain = emotion_chains()[0];
  constexpr int kSequences = 20000;
  std::vector<double> first(kGestures), second_mood(kMoods);
  Draws draws(7, "trial", "frequencies");
  for (int i = 0; i < kSequences; ++i) {
    const Sequence sequence = draw_sequence(chain, 2, draws);
    first[static_cast<std::size_t>(sequence.gestures[0])] += 1.0 / kSequences;
    second_mood[static_cast<std::size_t>(sequence.moods[1])] += 1.0 / kSequences;
  }
  // Four standard deviations of a frequency near 1/2.
  constexpr double kTolerance = 4 * 0.5 / 141.0;
  for (int g = 0; g < kGestures; ++g) {
    CHECK(std::abs(first[static_cast<std::size_t>(g)] -
                   std::exp(log_likelihood(chain, std::vector<int>{g}))) < kTolerance);
  }
  for (std::size_t to = 0; to < kMoods; ++to) {
    double expected = 0;
    for (std::size_t from = 0; from < kMoods; ++from)
      expected += chain.start[from] * chain.transitions[from][to];
    CHECK(std::abs(second_mood[to] - expected) < kTolerance);
  }
}

TEST_CASE("the expected optimum is what enumeration gives for short sequences") {
  double exact = 0;
  for (const auto& gestures : all_sequences(kGestures, 3)) {
    exact += 0.5 * std::max(std::exp(log_likelihood(emotion_chains()[0], gestures)),
                            std::exp(log_likelihood(emotion_chains()[1], gestures)));
  }
  const std::vector<int> lengths = {3};
  CHECK(expected_optimum(lengths, 20000, 1) == doctest::Approx(100 * exact).epsilon(0.005));
  CHECK_THROWS_AS(expected_optimum({}, 10, 1), Error);
}

}  // namespace mg::synth
