#include "data/csv_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <regex>

#include "engine/names.h"

namespace mg {

namespace {

constexpr double kLargest = 9007199254740992;  // 2^53: beyond it, not every whole number is a double

// Trimmed, a Unicode minus as ASCII's, and without a plus.
std::string plain(std::string_view field) {
  std::string text = trimmed(field);
  if (text.starts_with("\u2212")) text.replace(0, std::string_view("\u2212").size(), "-");
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.erase(0, 1);
  return text;
}

bool matches(const std::string& text, const std::regex& pattern) {
  return text.size() < 100 && std::regex_match(text, pattern);  // regex_match takes stack for each character
}

// Commas, spaces (no-break and thin ones too) and the like between groups of three digits.
bool has_thousands(const std::string& text) {
  static const std::regex groups(
      "-?[0-9]{1,3}((,[0-9]{3})+|( [0-9]{3})+|('[0-9]{3})+|(\xC2\xA0[0-9]{3})+|(\xE2\x80\xAF[0-9]{3})+|"
      "(\xE2\x80\x89[0-9]{3})+|(\xE2\x80\x99[0-9]{3})+)([.,][0-9]*)?"),
      points("-?[0-9]{1,3}((\\.[0-9]{3})+,[0-9]*|(\\.[0-9]{3}){2,})");
  return matches(text, groups) || matches(text, points);
}

// With a decimal point for a decimal comma. "1,500" is 1.5 behind semicolons, which come with decimal commas,
// and elsewhere may be 1500: it stays as it is.
std::string with_point(std::string text, char separator) {
  if (std::count(text.begin(), text.end(), ',') != 1 || text.find('.') != std::string::npos) return text;
  static const std::regex maybe_thousands("-?[1-9][0-9]{0,2},[0-9]{3}");
  const bool sure = separator == ';' || !matches(text, maybe_thousands);
  if (sure) text[text.find(',')] = '.';
  return text;
}

std::optional<double> decimal(const std::string& text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string fault(const char* expected, std::string_view field, const std::string& text) {
  return fmt::format("expected {}, got '{}'{}", expected, field,
                     has_thousands(text) ? " (write it without separators of thousands)" : "");
}

}  // namespace

bool is_missing(std::string_view field) {
  static constexpr std::array<std::string_view, 19> kWords{
      "",    "nan",  "NaN",  "-nan", "-NaN", "NA",       "<NA>",    "N/A",     "n/a",   "#N/A",
      "#NA", "null", "NULL", "None", "NaT",  "#N/A N/A", "1.#QNAN", "-1.#IND", "1.#IND"};
  return std::find(kWords.begin(), kWords.end(), trimmed(field)) != kWords.end();
}

ReadNumber<std::int64_t> read_frame_number(std::string_view field, char separator) {
  const std::string text = plain(field);
  const std::optional<double> value = decimal(with_point(text, separator));
  // Behind semicolons a point may be one of thousands.
  static const std::regex maybe_thousands("-?[1-9][0-9]{0,2}\\.[0-9]{3}");
  const bool unclear = separator == ';' && matches(text, maybe_thousands);
  if (value && !unclear && std::abs(*value) <= kLargest && *value == std::floor(*value)) {
    return {static_cast<std::int64_t>(*value), ""};
  }
  return {0, fault("a whole number", field, text)};
}

ReadNumber<double> read_seconds(std::string_view field, char separator) {
  const std::string text = plain(field);
  static const std::regex time("[0-9]+:[0-5][0-9]:[0-5][0-9]([.,][0-9]+)?|[0-9]{1,2}:[0-5]?[0-9][.,][0-9]+");
  if (text.find(':') != std::string::npos && matches(text, time)) {
    double seconds = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(':', begin), text.size());
      std::string part = text.substr(begin, end - begin);
      std::replace(part.begin(), part.end(), ',', '.');
      seconds = seconds * 60 + decimal(part).value_or(0);
      begin = end + 1;
    }
    return {seconds, ""};
  }
  if (const std::optional<double> value = decimal(with_point(text, separator))) return {*value, ""};
  return {0, fault("seconds (62.5) or a time (0:01:02.5)", field, text)};
}

}  // namespace mg
