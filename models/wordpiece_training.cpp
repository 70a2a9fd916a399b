// Learns a vocabulary by merging the most frequent pair of neighbouring pieces again and again (byte pair
// encoding, Sennrich et al. 2016, with WordPiece's ## for continuations).
#include <map>
#include <set>
#include <utility>

#include "models/wordpiece.h"

namespace mg {

namespace {

struct Word {
  std::vector<std::string> pieces;
  std::int64_t count;
};

using Pair = std::pair<std::string, std::string>;

std::vector<std::string> split_characters(const std::string& word) {
  std::vector<std::string> pieces;
  for (char c : word) {
    const bool starts = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (starts) pieces.emplace_back(pieces.empty() ? "" : "##");
    pieces.back().push_back(c);
  }
  return pieces;
}

std::string merged(const Pair& pair) { return pair.first + pair.second.substr(2); }

// The pair that occurs most often; of equals, the one that sorts first. Null when no word has two pieces.
const Pair* most_frequent(const std::map<Pair, std::int64_t>& counts) {
  const Pair* best = nullptr;
  std::int64_t best_count = 0;
  for (const auto& [pair, count] : counts) {
    if (count > best_count) {
      best = &pair;
      best_count = count;
    }
  }
  return best;
}

void merge_in(std::vector<std::string>& pieces, const Pair& pair) {
  std::vector<std::string> result;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const bool here = i + 1 < pieces.size() && pieces[i] == pair.first && pieces[i + 1] == pair.second;
    result.push_back(here ? merged(pair) : pieces[i]);
    if (here) ++i;
  }
  pieces = std::move(result);
}

}  // namespace

WordPiece WordPiece::train(std::span<const std::string> captions, std::size_t max_size) {
  std::map<std::string, std::int64_t> word_counts;
  for (const std::string& caption : captions) {
    for (const std::string& word : basic_tokens(caption)) {
      if (!is_special_token(word)) ++word_counts[word];
    }
  }
  std::set<std::string> characters;
  for (char c = 'a'; c <= 'z'; ++c) characters.insert(std::string(1, c));
  for (char c = '0'; c <= '9'; ++c) characters.insert(std::string(1, c));
  std::vector<Word> words;
  for (const auto& [text, count] : word_counts) {
    Word word{split_characters(text), count};
    if (word.pieces.size() > kMaxWordCharacters) continue;
    words.push_back(std::move(word));
    for (const std::string& piece : words.back().pieces) {
      characters.insert(piece.starts_with("##") && piece.size() > 2 ? piece.substr(2) : piece);
    }
  }

  std::vector<std::string> vocabulary(kSpecialTokens.begin(), kSpecialTokens.end());
  vocabulary.insert(vocabulary.end(), characters.begin(), characters.end());
  for (const std::string& c : characters) vocabulary.push_back("##" + c);
  std::set<std::string> known(vocabulary.begin(), vocabulary.end());
  while (vocabulary.size() < max_size) {
    std::map<Pair, std::int64_t> counts;
    for (const Word& word : words) {
      for (std::size_t i = 0; i + 1 < word.pieces.size(); ++i) {
        counts[{word.pieces[i], word.pieces[i + 1]}] += word.count;
      }
    }
    const Pair* best = most_frequent(counts);
    if (best == nullptr) break;
    for (Word& word : words) merge_in(word.pieces, *best);
    if (known.insert(merged(*best)).second) vocabulary.push_back(merged(*best));
  }
  return WordPiece(std::move(vocabulary), "trained vocabulary");
}

}  // namespace mg
