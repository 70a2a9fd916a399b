#include "data/synth/emotion_chain.h"

#include <algorithm>
#include <cmath>

#include "data/synth/gesture.h"
#include "engine/error.h"

namespace mg::synth {

namespace {

int draw_index(std::span<const double> probabilities, Draws& draws) {
  double left = draws.uniform();
  for (std::size_t i = 0; i + 1 < probabilities.size(); ++i) {
    left -= probabilities[i];
    if (left < 0) return static_cast<int>(i);
  }
  return static_cast<int>(probabilities.size()) - 1;
}

// Four gestures are a mood's favourites. No two of a pair have the same mood: what a mood likes is a
// direction, which frames without their order do not show.
constexpr double kFavourite = 0.175, kOther = (1 - 4 * kFavourite) / (kGestures - 4);
constexpr std::array<int, kGestures> kMoodOfGesture = {
    1, 2,  // touching the face: tense; taking the hand off: absent
    1, 0,  // crossing fingers: tense; uncrossing: at ease
    0, 2,  // leaning forward: at ease; leaning back: absent
    1, 0,  // lowering the head: tense; raising it: at ease
    2, 0,  // turning the head away: absent; back: at ease
    1, 2,  // raising the shoulders: tense; dropping them: absent
};

MarkovChain make_chain(bool positive) {
  MarkovChain chain;
  chain.start = {0.60, 0.10, 0.30};
  chain.transitions = {{0.76, 0.06, 0.18}, {0.40, 0.40, 0.20}, {0.38, 0.12, 0.50}};
  if (!positive) {  // at ease and tense change places
    std::swap(chain.start[0], chain.start[1]);
    std::swap(chain.transitions[0], chain.transitions[1]);
    for (auto& row : chain.transitions) std::swap(row[0], row[1]);
  }
  for (int mood = 0; mood < kMoods; ++mood) {
    std::vector<double> likes(kGestures, kOther);
    for (std::size_t g = 0; g < kGestures; ++g) {
      if (kMoodOfGesture[g] == mood) likes[g] = kFavourite;
    }
    chain.emissions.push_back(std::move(likes));
  }
  return chain;
}

}  // namespace

Sequence draw_sequence(const MarkovChain& chain, int length, Draws& draws) {
  Sequence sequence;
  for (int i = 0; i < length; ++i) {
    const int mood =
        i == 0 ? draw_index(chain.start, draws)
               : draw_index(chain.transitions[static_cast<std::size_t>(sequence.moods.back())], draws);
    sequence.moods.push_back(mood);
    sequence.gestures.push_back(draw_index(chain.emissions[static_cast<std::size_t>(mood)], draws));
  }
  return sequence;
}

double log_likelihood(const MarkovChain& chain, std::span<const int> gestures) {
  const std::size_t moods = chain.start.size();
  std::vector<double> forward = chain.start, next(moods);  // P(mood | gestures so far), before this gesture
  double sum = 0;
  for (const int gesture : gestures) {
    double seen = 0;
    for (std::size_t m = 0; m < moods; ++m) {
      expect(gesture >= 0 && static_cast<std::size_t>(gesture) < chain.emissions[m].size(),
             "log_likelihood: expected gestures below {}, got {}", chain.emissions[m].size(), gesture);
      forward[m] *= chain.emissions[m][static_cast<std::size_t>(gesture)];
      seen += forward[m];
    }
    sum += std::log(seen);
    for (std::size_t to = 0; to < moods; ++to) {
      next[to] = 0;
      for (std::size_t from = 0; from < moods; ++from)
        next[to] += forward[from] / seen * chain.transitions[from][to];
    }
    forward.swap(next);
  }
  return sum;
}

const std::array<std::string_view, kEmotions>& emotion_names() {
  static constexpr std::array<std::string_view, kEmotions> kNames = {"positive", "negative"};
  return kNames;
}

const std::array<std::string_view, kMoods>& mood_names() {
  static constexpr std::array<std::string_view, kMoods> kNames = {"at ease", "tense", "absent"};
  return kNames;
}

const std::array<MarkovChain, kEmotions>& emotion_chains() {
  static const std::array<MarkovChain, kEmotions> chains = {make_chain(true), make_chain(false)};
  return chains;
}

std::array<double, kEmotions> emotion_posterior(std::span<const int> gestures) {
  const double odds =
      std::exp(log_likelihood(emotion_chains()[1], gestures) - log_likelihood(emotion_chains()[0], gestures));
  return {1 / (1 + odds), odds / (1 + odds)};
}

int most_likely_emotion(std::span<const int> gestures) {
  const auto posterior = emotion_posterior(gestures);
  return posterior[1] > posterior[0] ? 1 : 0;
}

double expected_optimum(std::span<const int> lengths, int samples, std::uint64_t seed) {
  expect(!lengths.empty() && samples > 0, "expected_optimum: expected lengths and samples, got {} and {}",
         lengths.size(), samples);
  double sum = 0;
  for (int i = 0; i < samples; ++i) {
    Draws draws(seed, "optimum", "sequence", static_cast<std::uint32_t>(i));
    const auto emotion = static_cast<std::size_t>(draws.integer(kEmotions));
    const int length = lengths[static_cast<std::size_t>(i) % lengths.size()];
    const auto posterior =
        emotion_posterior(draw_sequence(emotion_chains()[emotion], length, draws).gestures);
    sum += *std::max_element(posterior.begin(), posterior.end());
  }
  return 100 * sum / samples;
}

}  // namespace mg::synth
