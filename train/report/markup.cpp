#include "train/report/markup.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace mg {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool continues(std::string_view text, std::size_t i) {
  return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
}

// The bytes of the well-formed UTF-8 character at i (Unicode 15, table 3-7), 0 where there is none.
std::size_t character_bytes(std::string_view text, std::size_t i) {
  const auto lead = static_cast<unsigned char>(text[i]);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4 || !continues(text, i + 1)) return 0;
  if (lead < 0xE0) return 2;
  const auto second = static_cast<unsigned char>(text[i + 1]);
  if (!continues(text, i + 2)) return 0;
  if (lead < 0xF0) {
    const bool overlong = lead == 0xE0 && second < 0xA0, surrogate = lead == 0xED && second > 0x9F;
    return overlong || surrogate ? 0 : 3;
  }
  const bool overlong = lead == 0xF0 && second < 0x90, beyond = lead == 0xF4 && second > 0x8F;
  return overlong || beyond || !continues(text, i + 3) ? 0 : 4;
}

bool allowed(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (lead < 0x20) return lead == '\n' || lead == '\t';
  const bool c1_control = lead == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
  const bool not_a_character = character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF";
  return lead != 0x7F && !c1_control && !not_a_character;
}

std::string_view escaped(std::string_view character) {
  switch (character[0]) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return character;
  }
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t bytes = character_bytes(text, i);
    const std::string_view character = text.substr(i, std::max<std::size_t>(bytes, 1));
    out += bytes > 0 && allowed(character) ? escaped(character) : kReplacement;
    i += character.size();
  }
  return out;
}

Markup::Element::~Element() { page_.out_ += fmt::format("</{}>\n", tag_); }

void Markup::start(std::string_view tag, Attributes attributes) {
  out_ += '<';
  out_ += tag;
  for (const auto& [name, value] : attributes) {
    out_ += fmt::format(" {}=\"{}\"", name, escape_markup(value));
  }
}

Markup::Element Markup::open(std::string_view tag, Attributes attributes) {
  start(tag, attributes);
  out_ += '>';
  return {*this, tag};
}

void Markup::add(std::string_view tag, Attributes attributes, std::string_view content) {
  start(tag, attributes);
  out_ += '>';
  text(content);
  out_ += fmt::format("</{}>", tag);
}

void Markup::add_empty(std::string_view tag, Attributes attributes) {
  start(tag, attributes);
  out_ += "/>";
}

std::string grouped(std::int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const bool group_begins = i > 0 && (digits.size() - i) % 3 == 0 && digits[i - 1] != '-';
    if (group_begins) text += ',';
    text += digits[i];
  }
  return text;
}

std::string percent_text(double value) {
  return std::isfinite(value) ? fmt::format("{:.2f} %", value) : "not finite";
}

std::string exponent_text(double value) {
  const int exponent = static_cast<int>(std::floor(std::log10(std::abs(value))));
  return fmt::format("{:.3g}e{}", value / std::pow(10.0, exponent), exponent);
}

std::string number_text(double value) {
  if (!std::isfinite(value)) return "not finite";
  const double size = std::abs(value);
  if (value == std::round(value) && size < 1e15) return grouped(static_cast<std::int64_t>(value));
  if (size >= 1e5 || size < 1e-3) return exponent_text(value);
  if (size >= 1e3) return grouped(std::llround(value));
  const int whole_digits = size >= 1 ? static_cast<int>(std::floor(std::log10(size))) + 1 : 0;
  std::string text = fmt::format("{:.{}f}", value, std::max(0, 4 - whole_digits));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

std::string coordinate(double value) { return fmt::format("{:.1f}", std::isfinite(value) ? value : 0.0); }

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string shortened(const std::string& text, std::size_t characters) {
  if (character_count(text) <= characters) return text;
  std::size_t end = 0;
  for (std::size_t count = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++count == characters) break;
  }
  while (end > 0 && text[end - 1] == ' ') --end;
  return text.substr(0, end) + "\xE2\x80\xA6";
}

}  // namespace mg
