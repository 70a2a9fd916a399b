#include "engine/names.h"

#include <doctest/doctest.h>

#include <vector>

namespace mg {

TEST_CASE("names are composed, trimmed of what cannot be seen, and single-spaced") {
  const std::string nod = "nod gently";
  for (const char* written : {"nod gently", " nod gently\t", "\u00A0nod gently\u00A0",
                              "\uFEFFnod gently\u200B", "\u200Enod  gently", "nod\u00A0gently",
                              "nod\u2003gently\u2060", "nod\ngently", "\u200B \u00A0nod \t gently \u200B "}) {
    CAPTURE(written);
    CHECK(normal_name(written) == nod);
  }
  CHECK(normal_name("Ma\u0308dchen") == "M\u00E4dchen");
  CHECK(normal_name("\u1100\u1161") == "\uAC00");  // Hangul
  CHECK(normal_name(" \u00A0\u200B") == "");
  CHECK(trimmed("\xFF x \xFE ") == "\xFF x \xFE");  // bytes of a file's name that are not UTF-8
  CHECK(decomposed("\u00E4") == "a\u0308");
  CHECK(composed("a\u0308") == "\u00E4");
}

TEST_CASE("names that a person cannot tell apart look alike, others do not") {
  const std::vector<std::pair<const char*, const char*>> alike{
      {"Nod", "nod"},
      {"touch ear", "touch_ear"},
      {"touch ear", "touch-ear"},
      {"touch\u2013ear", "touch-ear"},
      {"so-called", "so\u2011called"},
      {"it\u2019s", "it's"},
      {"\u201Cyes\u201D", "\"yes\""},
      {"nod", "no\u200Bd"},
      {"nod", "no\u00ADd"},
      {"\uFF4E\uFF4F\uFF44", "nod"},  // full width
      {"n\u043Ed", "nod"},            // a Cyrillic o
      {"\u041Dod", "hod"},            // a Cyrillic N, which looks like H
      {"\u0412\u0435\u0441", "\u0432\u0435\u0441"},
      {"\u039Fk", "ok"},  // a Greek O
      {"stra\u00DFe", "STRASSE"},
      {"\uFB01st", "fist"},  // a ligature
      {"\u0130", "i\u0307"}};
  for (const auto& [a, b] : alike) {
    CAPTURE(a);
    CAPTURE(b);
    CHECK(appearance(a) == appearance(b));
  }
  const std::vector<std::pair<const char*, const char*>> different{{"nod", "not"},
                                                                   {"-1", "1"},
                                                                   {"1-2", "12"},
                                                                   {"1-2", "1 2"},
                                                                   {"caf\u00E9", "cafe"},
                                                                   {"nod 1", "nod 2"},
                                                                   {"touch ear", "touchear"},
                                                                   {"\u624B", "\u6BDB"},
                                                                   {"", "a"}};
  for (const auto& [a, b] : different) {
    CAPTURE(a);
    CAPTURE(b);
    CHECK(appearance(a) != appearance(b));
  }
  CHECK(how_they_differ("Nod", "nod") == "only in case");
  CHECK(how_they_differ("nod", "n\u043Ed") ==
        "only in characters that look alike or cannot be seen (U+006F and U+043E)");
  CHECK(how_they_differ("nod", "nod\u0307") ==
        "only in characters that look alike or cannot be seen (nothing and U+0307)");
}

TEST_CASE("two different names of a file may not look alike") {
  DistinctNames names;
  for (const char* name : {"nod", "wave", "nod"}) names.require(name, 2, "label", "m.csv", ExitCode::data);
  CHECK_FALSE(names.add("shake", 3));
  CHECK_THROWS_WITH_AS(
      names.require("Wave", 7, "label", "m.csv", ExitCode::data),
      "m.csv:7: the label 'Wave' differs from 'wave' in line 2 only in case: write both the same "
      "way, or rename one",
      Error);
}

}  // namespace mg
