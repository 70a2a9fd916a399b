// BERT's tokenizer: clean, lower-case, strip accents (NFD), split at spaces, punctuation and CJK characters,
// then greedy longest-match word pieces (Devlin et al. 2019; Wu et al. 2016), and training of a small
// vocabulary. Special tokens that a text spells out, like [MASK], stay whole; [mask] is text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/token_batch.h"

namespace mg {

// A longer word is unknown as a whole.
inline constexpr std::size_t kMaxWordCharacters = 100;

inline constexpr std::array<std::string_view, 5> kSpecialTokens{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
bool is_special_token(std::string_view token);

struct WordPieceOptions {
  bool lowercase = true;  // and strip accents; false: for a cased vocabulary
};

class WordPiece {
 public:
  // One token an id; must hold [PAD], [UNK], [CLS] and [SEP]. Throws Error(ExitCode::data); source names
  // where the tokens come from.
  explicit WordPiece(std::vector<std::string> vocabulary, const std::string& source = "vocabulary",
                     const WordPieceOptions& options = {});
  // Reads a vocab.txt: one token a line, its number is the id; blank lines at the end are none.
  static WordPiece load(const std::filesystem::path& path, const WordPieceOptions& options = {});
  // Learns a vocabulary of at most max_size tokens: the special tokens, the letters a-z, the digits and every
  // other character of the captions (as starts of words and as continuations), then the most frequent
  // pairs merged one by one, ties by the smaller text. Deterministic. It may exceed max_size if the
  // characters alone do.
  static WordPiece train(std::span<const std::string> captions, std::size_t max_size);

  // What vocab.txt holds.
  std::string text() const;

  // [CLS] pieces [SEP], cut to max_length ids (at least 2) with [SEP] kept. Bytes that are not UTF-8 are
  // skipped like control characters.
  std::vector<std::int32_t> encode(std::string_view text, std::size_t max_length) const;
  TokenBatch encode(std::span<const std::string> texts, std::size_t max_length) const;
  std::vector<std::string> tokenize(std::string_view text) const;

  std::size_t size() const { return vocabulary_.size(); }
  const std::vector<std::string>& vocabulary() const { return vocabulary_; }
  std::int32_t pad_id() const { return pad_id_; }

 private:
  std::int32_t special(const std::string& token, const std::string& source) const;
  void append_pieces(const std::string& word, std::vector<std::int32_t>& ids) const;

  WordPieceOptions options_;
  std::vector<std::string> vocabulary_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::int32_t pad_id_, unk_id_, cls_id_, sep_id_;
};

// The words, punctuation marks and special tokens that word pieces are made of.
std::vector<std::string> basic_tokens(std::string_view text, const WordPieceOptions& options = {});

}  // namespace mg
