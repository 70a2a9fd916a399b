// The texts that tests/goldens/wordpiece.py draws (text_of), from the words and ranges of characters that
// wordpiece.json holds.
#pragma once

#include <utf8proc.h>

#include <string>
#include <utility>
#include <vector>

#include "models/golden.h"

namespace mg::test {

class Draws {
 public:
  explicit Draws(const std::string& name) : hashed_(name) {}
  std::size_t operator()(std::size_t below) {
    return static_cast<std::size_t>(hashed_.integer(next_++, below));
  }

 private:
  Hashed hashed_;
  std::int64_t next_ = 0;
};

class DrawnTexts {
 public:
  explicit DrawnTexts(const nlohmann::json& golden)
      : words_(golden["words"]),
        special_(golden["special"]),
        between_(golden["between"]),
        pools_(golden["pools"]) {}

  std::string text(int number) const {
    Draws draw("wordpiece " + std::to_string(number));
    const std::size_t size = draw(100);
    const std::size_t count = size == 0 ? 0 : size == 1 ? 60 + draw(60) : 1 + draw(8);
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) text += between_[draw(between_.size())];
      const std::size_t kind = draw(20);
      if (kind < 7) {
        text += words_[draw(words_.size())];
      } else if (kind < 9) {
        text += special_[draw(special_.size())];
      } else {
        const std::size_t length = kind == 9 ? 95 + draw(12) : 1 + draw(9);
        append_word(text, length, draw);
      }
    }
    return text;
  }

 private:
  using Pool = std::vector<std::pair<std::int32_t, std::int32_t>>;

  // All of one pool, or each character of its own.
  void append_word(std::string& text, std::size_t length, Draws& draw) const {
    const bool mixed = draw(3) == 0;
    const std::size_t pool = draw(pools_.size());
    for (std::size_t i = 0; i < length; ++i) {
      const std::int32_t c = character(pools_[mixed ? draw(pools_.size()) : pool], draw);
      utf8proc_uint8_t bytes[4];
      const auto count = utf8proc_encode_char(c, bytes);
      text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
    }
  }

  static std::int32_t character(const Pool& pool, Draws& draw) {
    std::int32_t count = 0;
    for (const auto& [first, last] : pool) count += last - first + 1;
    auto index = static_cast<std::int32_t>(draw(static_cast<std::size_t>(count)));
    for (const auto& [first, last] : pool) {
      if (index <= last - first) return first + index;
      index -= last - first + 1;
    }
    return 0;
  }

  std::vector<std::string> words_, special_, between_;
  std::vector<Pool> pools_;
};

// FNV-1a of the ids, each as four bytes from the lowest.
inline std::string hash_of(const std::vector<std::int32_t>& ids) {
  std::uint32_t value = 0x811C9DC5;
  for (std::int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      value = (value ^ (static_cast<std::uint32_t>(id) >> shift & 0xFF)) * 0x01000193;
    }
  }
  return fmt::format("{:08x}", value);
}

}  // namespace mg::test
