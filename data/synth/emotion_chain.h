// From an emotion to gestures: a hidden Markov chain. A recording's emotion, never seen, governs how moods
// follow each other; each mood has its own liking for gestures. What the gestures tell about the emotion is
// known exactly, by the forward algorithm (Rabiner, "A Tutorial on Hidden Markov Models", 1989, III.A).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/synth/draws.h"

namespace mg::synth {

struct MarkovChain {
  std::vector<double> start;                     // [mood]
  std::vector<std::vector<double>> transitions;  // [mood before][mood]
  std::vector<std::vector<double>> emissions;    // [mood][gesture]
};

struct Sequence {
  std::vector<int> moods, gestures;
};
Sequence draw_sequence(const MarkovChain& chain, int length, Draws& draws);

// ln P(gestures | chain), over all courses of moods. Gestures are checked against the chain: Error(failure).
double log_likelihood(const MarkovChain& chain, std::span<const int> gestures);

// The project's emotions, equally likely beforehand.
inline constexpr int kEmotions = 2, kMoods = 3;
const std::array<std::string_view, kEmotions>& emotion_names();
const std::array<std::string_view, kMoods>& mood_names();
const std::array<MarkovChain, kEmotions>& emotion_chains();

// P(emotion | gestures).
std::array<double, kEmotions> emotion_posterior(std::span<const int> gestures);
// What the Bayes rule answers, which no reader of the gestures beats in the mean.
int most_likely_emotion(std::span<const int> gestures);

// The accuracy of that rule in percent, over the chains' own distribution: the mean of the larger posterior
// of `samples` sequences whose lengths go round the given ones.
double expected_optimum(std::span<const int> lengths, int samples, std::uint64_t seed);

}  // namespace mg::synth
