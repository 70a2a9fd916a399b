#include "engine/names.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "engine/nearest_name.h"

namespace mg {

namespace {

// Bytes that are not UTF-8 (of a command line, or a file's name) stay as they are: the text is returned.
std::string mapped(std::string_view text, int options) {
  utf8proc_uint8_t* result = nullptr;
  const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &result,
                                   static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (length < 0) return std::string(text);
  return {reinterpret_cast<const char*>(result), static_cast<std::size_t>(length)};
}

// The characters of text; a byte that is not UTF-8 counts as the replacement character.
std::u32string characters(std::string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    result.push_back(length > 0 ? static_cast<char32_t>(c) : U'\uFFFD');
    at += length > 0 ? static_cast<std::size_t>(length) : 1;
  }
  return result;
}

std::string utf8_of(char32_t c) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
  return {reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length)};
}

bool is_white(char32_t c) {
  if ((c >= U'\t' && c <= U'\r') || c == 0x85) return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

// Zero-width spaces and joiners, marks of direction and byte order, soft hyphens.
bool is_invisible(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_CF;
}

bool is_letter(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool is_word(char32_t c) {
  return is_letter(c) || utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

// Case-folded letters whose large or small form looks like a Latin one's, and quotes.
char32_t latin_twin(char32_t c) {
  static constexpr std::u32string_view
      kOthers =
          U"\u0430\u0432\u0435\u043A\u043C\u043D\u043E\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455"
          U"\u04BB\u0501\u051B\u051D\u03B1\u03B5\u03B9\u03BA\u03BF\u03C1\u03C4\u03C5\u03C7\u0131"
          U"\u201C\u201D\u201E\u00AB\u00BB",
      kLatin = U"abekmhopctyxijshdqwaeikoptyxi\"\"\"\"\"";
  static_assert(kOthers.size() == kLatin.size());
  const auto found = kOthers.find(c);
  return found == std::u32string_view::npos ? c : kLatin[found];
}

// Runs of white space as one space, none at the ends.
std::string single_spaced(const std::u32string& text) {
  std::string result;
  bool space = false;
  for (const char32_t c : text) {
    if (is_white(c)) {
      space = !result.empty();
      continue;
    }
    if (space) result += ' ';
    space = false;
    result += utf8_of(c);
  }
  return result;
}

std::string code_point(char32_t c) { return fmt::format("U+{:04X}", static_cast<std::uint32_t>(c)); }

}  // namespace

std::string trimmed(std::string_view text) {
  const std::u32string all = characters(text);
  const auto is_nothing = [](char32_t c) { return is_white(c) || is_invisible(c); };
  const auto begin = std::find_if_not(all.begin(), all.end(), is_nothing);
  const auto end = std::find_if_not(all.rbegin(), std::make_reverse_iterator(begin), is_nothing).base();
  const auto bytes = [](auto from, auto to) {
    std::size_t count = 0;
    for (; from != to; ++from) count += utf8_of(*from).size();
    return count;
  };
  // Counted in bytes of text, so that bytes that are not UTF-8 stay.
  return std::string(text.substr(bytes(all.begin(), begin),
                                 text.size() - bytes(all.begin(), begin) - bytes(end, all.end())));
}

std::string composed(std::string_view text) { return mapped(text, UTF8PROC_COMPOSE); }
std::string decomposed(std::string_view text) { return mapped(text, UTF8PROC_DECOMPOSE); }

std::string normal_name(std::string_view text) { return single_spaced(characters(composed(trimmed(text)))); }

std::string appearance(std::string_view name) {
  const std::string folded =
      mapped(mapped(name, UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_IGNORE | UTF8PROC_LUMP),
             UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD);
  std::u32string all = characters(folded);
  std::transform(all.begin(), all.end(), all.begin(), latin_twin);
  for (std::size_t i = 1; i + 1 < all.size(); ++i) {
    // "touch-ear" and "touch_2", but neither "-1" nor "1-2"
    const bool joins =
        is_word(all[i - 1]) && is_word(all[i + 1]) && (is_letter(all[i - 1]) || is_letter(all[i + 1]));
    if ((all[i] == U'-' || all[i] == U'_') && joins) all[i] = U' ';
  }
  return single_spaced(all);
}

std::string how_they_differ(const std::string& a, const std::string& b) {
  if (mapped(a, UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE) == mapped(b, UTF8PROC_CASEFOLD | UTF8PROC_COMPOSE)) {
    return "only in case";
  }
  const std::u32string x = characters(a), y = characters(b);
  std::size_t i = 0;
  while (i < x.size() && i < y.size() && x[i] == y[i]) ++i;
  const auto shown = [i](const std::u32string& text) {
    return i < text.size() ? code_point(text[i]) : "nothing";
  };
  return fmt::format("only in characters that look alike or cannot be seen ({} and {})", shown(x), shown(y));
}

std::string nearest_described(const std::string& name, const std::vector<std::string>& candidates) {
  for (const std::string& candidate : candidates) {
    if (appearance(candidate) != appearance(name)) continue;
    return fmt::format("'{}', which differs {}", candidate, how_they_differ(name, candidate));
  }
  return fmt::format("'{}'", nearest_name(name, candidates));
}

std::optional<DistinctNames::Twin> DistinctNames::add(const std::string& name, std::int64_t line) {
  const auto [first, is_new] = first_.try_emplace(appearance(name), Twin{name, line});
  if (is_new || first->second.name == name) return std::nullopt;
  return first->second;
}

void DistinctNames::require(const std::string& name, std::int64_t line, const char* what,
                            const std::string& file, ExitCode code) {
  const auto twin = add(name, line);
  if (!twin) return;
  throw Error(code,
              "{}:{}: the {} '{}' differs from '{}' in line {} {}: write both the same way, or rename one",
              file, line, what, name, twin->name, twin->line, how_they_differ(name, twin->name));
}

}  // namespace mg
