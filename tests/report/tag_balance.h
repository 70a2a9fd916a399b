// Says whether a page is well formed: tags balance, attributes are quoted and unique, text holds no stray
// markup, ids are unique and what refers to an id finds it.
#pragma once

#include <fmt/core.h>

#include <cctype>
#include <set>
#include <string>
#include <vector>

namespace mg::test {

class TagBalance {
 public:
  explicit TagBalance(std::string page) : page_(std::move(page)) {}

  // The first fault, or nothing.
  std::string fault() {
    if (!page_.starts_with("<!DOCTYPE html>")) return "no doctype";
    at_ = page_.find('>') + 1;
    while (fault_.empty() && at_ < page_.size()) {
      if (page_[at_] == '<') {
        tag();
      } else {
        text();
      }
    }
    if (fault_.empty() && !open_.empty()) fault_ = "never closed: " + open_.back();
    for (const std::string& id : wanted_ids_) {
      if (fault_.empty() && ids_.count(id) == 0) fault_ = "no element has the id " + id;
    }
    return fault_;
  }

 private:
  void fail(const std::string& what) {
    if (fault_.empty()) fault_ = fmt::format("{} at byte {}: {}", what, at_, page_.substr(at_, 60));
  }
  bool next_is(const char* text) const { return page_.compare(at_, std::string(text).size(), text) == 0; }
  std::string name() {
    std::string result;
    while (at_ < page_.size() &&
           (std::isalnum(static_cast<unsigned char>(page_[at_])) != 0 || page_[at_] == '-')) {
      result += page_[at_++];
    }
    if (result.empty()) fail("expected a name");
    return result;
  }

  void text() {
    if (page_[at_] == '>') return fail("a stray >");
    if (page_[at_] == '&') return entity();
    if (open_.empty() && std::isspace(static_cast<unsigned char>(page_[at_])) == 0)
      return fail("text outside of html");
    ++at_;
  }

  void entity() {
    for (const char* known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"}) {
      if (!next_is(known)) continue;
      at_ += std::string(known).size();
      return;
    }
    fail("a stray &");
  }

  void tag() {
    ++at_;
    if (page_[at_] == '/') {
      ++at_;
      const std::string closed = name();
      if (open_.empty() || open_.back() != closed) return fail("closes what is not open: " + closed);
      open_.pop_back();
      if (page_[at_++] != '>') fail("expected >");
      return;
    }
    const std::string opened = name();
    std::set<std::string> names;
    while (fault_.empty() && next_is(" ")) {
      ++at_;
      const std::string attribute = name();
      if (!names.insert(attribute).second) fail("twice: " + attribute);
      value(attribute);
    }
    if (!fault_.empty()) return;
    if (next_is("/>")) {
      at_ += 2;
      return;
    }
    if (page_[at_++] != '>') return fail("expected >");
    open_.push_back(opened);
    if (opened == "style") at_ = page_.find("</style>", at_);
  }

  void value(const std::string& attribute) {
    if (!next_is("=\"")) return fail("expected =\"");
    at_ += 2;
    const std::size_t begin = at_;
    while (fault_.empty() && at_ < page_.size() && page_[at_] != '"') {
      if (page_[at_] == '<') return fail("a stray <");
      if (page_[at_] == '&') {
        entity();
      } else {
        ++at_;
      }
    }
    const std::string content = page_.substr(begin, at_ - begin);
    ++at_;
    if (attribute == "id" && !ids_.insert(content).second) fail("an id twice: " + content);
    if (attribute == "href" && content.starts_with("#")) wanted_ids_.insert(content.substr(1));
    if (attribute == "aria-labelledby") {
      const std::size_t space = content.find(' ');
      wanted_ids_.insert(content.substr(0, space));
      if (space != std::string::npos) wanted_ids_.insert(content.substr(space + 1));
    }
  }

  std::string page_, fault_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::set<std::string> ids_, wanted_ids_;
};

inline std::string markup_fault(const std::string& page) { return TagBalance(page).fault(); }

}  // namespace mg::test
