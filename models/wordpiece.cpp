#include "models/wordpiece.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "engine/error.h"
#include "engine/text_file.h"

namespace mg {

namespace {

bool is_space(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

// Characters that are dropped: null, the replacement character, control, format, private use.
bool is_control(char32_t c) {
  if (c == 0 || c == 0xFFFD) return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
         category == UTF8PROC_CATEGORY_CO || category == UTF8PROC_CATEGORY_CS;
}

// Punctuation is what Unicode says and every visible ASCII character that is no letter or digit.
bool is_punctuation(char32_t c) {
  if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126)) {
    return true;
  }
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

// As BERT's fast tokenizer has them: from 0x2B920 where the original has 0x2B820.
bool is_cjk(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

void append_utf8(std::string& text, char32_t c) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

// The characters of text; bytes that are not UTF-8 are skipped.
std::u32string characters(std::string_view text) {
  std::u32string result;
  const auto* p = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(p, left, &c);
    if (length > 0) result.push_back(static_cast<char32_t>(c));
    p += std::max<utf8proc_ssize_t>(length, 1);
    left -= std::max<utf8proc_ssize_t>(length, 1);
  }
  return result;
}

// Canonical decomposition (NFD) without the nonspacing marks, in lower case.
std::u32string lower_without_accents(const std::u32string& text) {
  std::string utf8;
  for (char32_t c : text) append_utf8(utf8, c);
  utf8proc_uint8_t* mapped = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                                   static_cast<utf8proc_ssize_t>(utf8.size()), &mapped,
                                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  expect(length >= 0, "wordpiece: {}", utf8proc_errmsg(length));
  std::u32string result;
  for (char32_t c : characters({reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(length)})) {
    const auto code = static_cast<utf8proc_int32_t>(c);
    if (utf8proc_category(code) == UTF8PROC_CATEGORY_MN) continue;
    result.push_back(static_cast<char32_t>(utf8proc_tolower(code)));
  }
  return result;
}

// Appends the words and punctuation marks of a text without special tokens.
void append_words(std::string_view text, const WordPieceOptions& options, std::vector<std::string>& words) {
  std::u32string clean;
  for (char32_t c : characters(text)) {
    if (is_space(c)) {
      clean.push_back(U' ');
    } else if (is_cjk(c)) {
      clean.append({U' ', c, U' '});
    } else if (!is_control(c)) {
      clean.push_back(c);
    }
  }
  std::string word;
  auto finish = [&] {
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
  };
  for (char32_t c : options.lowercase ? lower_without_accents(clean) : clean) {
    if (is_space(c)) {
      finish();
    } else if (is_punctuation(c)) {
      finish();
      append_utf8(word, c);
      finish();
    } else {
      append_utf8(word, c);
    }
  }
  finish();
}

}  // namespace

bool is_special_token(std::string_view token) {
  return std::find(kSpecialTokens.begin(), kSpecialTokens.end(), token) != kSpecialTokens.end();
}

std::vector<std::string> basic_tokens(std::string_view text, const WordPieceOptions& options) {
  std::vector<std::string> words;
  for (;;) {
    std::size_t begin = text.size();
    std::string_view special;
    for (std::string_view token : kSpecialTokens) {  // none is part of another
      const std::size_t found = text.find(token);
      if (found >= begin) continue;
      begin = found;
      special = token;
    }
    append_words(text.substr(0, begin), options, words);
    if (special.empty()) return words;
    words.emplace_back(special);
    text.remove_prefix(begin + special.size());
  }
}

WordPiece::WordPiece(std::vector<std::string> vocabulary, const std::string& source,
                     const WordPieceOptions& options)
    : options_(options), vocabulary_(std::move(vocabulary)) {
  for (std::size_t i = 0; i < vocabulary_.size(); ++i) {
    const bool added = ids_.emplace(vocabulary_[i], static_cast<std::int32_t>(i)).second;
    if (!added) {
      throw Error(ExitCode::data, "{}: line {}: the token '{}' is there twice", source, i + 1,
                  vocabulary_[i]);
    }
  }
  pad_id_ = special("[PAD]", source);
  unk_id_ = special("[UNK]", source);
  cls_id_ = special("[CLS]", source);
  sep_id_ = special("[SEP]", source);
}

std::int32_t WordPiece::special(const std::string& token, const std::string& source) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) {
    throw Error(ExitCode::data, "{}: expected the special token {}, which none of {} tokens is", source,
                token, vocabulary_.size());
  }
  return found->second;
}

WordPiece WordPiece::load(const std::filesystem::path& path, const WordPieceOptions& options) {
  std::vector<std::string> vocabulary = lines_of(read_text_file(path, ExitCode::data));
  while (!vocabulary.empty() && vocabulary.back().empty()) vocabulary.pop_back();
  return WordPiece(std::move(vocabulary), path.string(), options);
}

std::string WordPiece::text() const {
  std::string text;
  for (const std::string& token : vocabulary_) text += token + "\n";
  return text;
}

void WordPiece::append_pieces(const std::string& word, std::vector<std::int32_t>& ids) const {
  const auto is_start = [&](std::size_t i) { return (static_cast<unsigned char>(word[i]) & 0xC0) != 0x80; };
  std::size_t count = 0;
  for (std::size_t i = 0; i < word.size(); ++i) count += is_start(i) ? 1 : 0;
  const std::size_t before = ids.size();
  bool known = count <= kMaxWordCharacters;
  for (std::size_t begin = 0; known && begin < word.size();) {
    std::size_t end = word.size();
    auto found = ids_.end();
    for (; end > begin; --end) {
      if (end < word.size() && !is_start(end)) continue;
      found = ids_.find((begin > 0 ? "##" : "") + word.substr(begin, end - begin));
      if (found != ids_.end()) break;
    }
    known = found != ids_.end();
    if (known) ids.push_back(found->second);
    begin = end;
  }
  if (known) return;
  ids.resize(before);
  ids.push_back(unk_id_);
}

std::vector<std::int32_t> WordPiece::encode(std::string_view text, std::size_t max_length) const {
  expect(max_length >= 2, "wordpiece: expected a maximum of at least 2 ids, got {}", max_length);
  std::vector<std::int32_t> ids{cls_id_};
  for (const std::string& word : basic_tokens(text, options_)) append_pieces(word, ids);
  ids.resize(std::min(ids.size(), max_length - 1));
  ids.push_back(sep_id_);
  return ids;
}

TokenBatch WordPiece::encode(std::span<const std::string> texts, std::size_t max_length) const {
  std::vector<std::vector<std::int32_t>> sequences;
  for (const std::string& text : texts) sequences.push_back(encode(text, max_length));
  return pad_tokens(sequences, pad_id_);
}

std::vector<std::string> WordPiece::tokenize(std::string_view text) const {
  std::vector<std::int32_t> ids;
  for (const std::string& word : basic_tokens(text, options_)) append_pieces(word, ids);
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (std::int32_t id : ids) tokens.push_back(vocabulary_[static_cast<std::size_t>(id)]);
  return tokens;
}

}  // namespace mg
