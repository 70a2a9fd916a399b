// Writes HTML and SVG that is well formed by construction: elements close in the order in which they opened,
// and every text and attribute is escaped. And the few ways in which a report writes a number.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace mg {

// For text and for attributes in double quotes. What HTML does not allow (control characters, bytes that are
// not UTF-8) becomes U+FFFD.
std::string escape_markup(std::string_view text);

class Markup {
 public:
  using Attributes = std::initializer_list<std::pair<std::string_view, std::string>>;

  // An open element: it closes when the object dies.
  class Element {
   public:
    Element(Markup& page, std::string_view tag) : page_(page), tag_(tag) {}
    ~Element();
    Element(const Element&) = delete;
    Element& operator=(const Element&) = delete;

   private:
    Markup& page_;
    std::string tag_;
  };

  [[nodiscard]] Element open(std::string_view tag, Attributes attributes = {});
  // <tag ...>text</tag>
  void add(std::string_view tag, Attributes attributes, std::string_view text);
  void add(std::string_view tag, std::string_view text) { add(tag, {}, text); }
  // <tag ... />
  void add_empty(std::string_view tag, Attributes attributes);
  void text(std::string_view text) { out_ += escape_markup(text); }
  // Markup as it is: for what this program itself has written.
  void raw(std::string_view markup) { out_ += markup; }

  const std::string& str() const { return out_; }

 private:
  void start(std::string_view tag, Attributes attributes);

  std::string out_;
};

// 12345 -> "12,345"
std::string grouped(std::int64_t value);
// 62.295 -> "62.30 %"; "not finite" where it is not.
std::string percent_text(double value);
// Four significant digits, no exponent between 0.001 and 100,000: 0.04218, 12.31, 3e-5.
std::string number_text(double value);
// Three significant digits with an exponent: 2.5e-4.
std::string exponent_text(double value);
// A coordinate of a drawing, to a tenth.
std::string coordinate(double value);
// At most so many characters; the last is an ellipsis where some were cut off.
std::string shortened(const std::string& text, std::size_t characters);
// The number of characters (code points) of UTF-8.
std::size_t character_count(std::string_view text);

}  // namespace mg
