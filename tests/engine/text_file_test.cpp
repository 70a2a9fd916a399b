#include "engine/text_file.h"

#include <doctest/doctest.h>

#include "engine/file.h"
#include "temporary_folder.h"

namespace mg {

namespace {

using Lines = std::vector<std::string>;

// ASCII and what has two bytes in it, as UTF-16.
std::string utf16(const std::u16string& text, bool big_endian) {
  std::string bytes;
  for (const char16_t unit : text) {
    const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
    bytes += big_endian ? high : low;
    bytes += big_endian ? low : high;
  }
  return bytes;
}

std::string error_of(const std::string& bytes) {
  try {
    decode_text(bytes, "f.csv", ExitCode::data);
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::data);
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("text is the same in every encoding that says what it is, with every kind of line end") {
  const std::string expected = "clip,Ä\n𝄞\n";
  for (const char* line_end : {"\n", "\r\n", "\r"}) {
    std::string text;
    for (const char* line : {"clip,Ä", "𝄞"}) text += std::string(line) + line_end;
    for (const char* before : {"", "\xEF\xBB\xBF", "\xEF\xBB\xBF\xEF\xBB\xBF"}) {
      CHECK(decode_text(before + text, "f", ExitCode::data) == expected);
    }
  }
  const std::u16string wide = u"\uFEFFclip,Ä\r\n𝄞\r\n";
  CHECK(decode_text(utf16(wide, false), "f", ExitCode::data) == expected);
  CHECK(decode_text(utf16(wide, true), "f", ExitCode::data) == expected);
  CHECK(decode_text("", "f", ExitCode::data).empty());
  CHECK(decode_text("\xEF\xBB\xBF", "f", ExitCode::data).empty());
  CHECK(decode_text("\xFF\xFE", "f", ExitCode::data).empty());
}

TEST_CASE("the Ctrl-Z of old editors ends a text, but only at its end") {
  CHECK(decode_text("a\nb\n\x1A", "f", ExitCode::data) == "a\nb\n");
  CHECK(decode_text("a\nb\n\x1A\r\n", "f", ExitCode::data) == "a\nb\n");
  CHECK(error_of("a\nb\x1A"
                 "c\n")
            .find("f.csv:2: holds a control character (byte 0x1a)") == 0);
}

TEST_CASE("what is no text is one error with line, byte and how to save it") {
  const std::vector<std::pair<std::string, std::string>> faults{
      {"a\r\nb\r\ncaf\xE9\r\n", "f.csv:3: not UTF-8 (byte 0xe9; the file may be in Latin-1 or Windows-1252)"},
      {"a\rb\rcaf\xE9\r", "f.csv:3: not UTF-8 (byte 0xe9;"},
      {"a\n\x93quoted\x94\n", "f.csv:2: not UTF-8 (byte 0x93;"},
      {"a\n\xC3", "f.csv:2: not UTF-8 (byte 0xc3;"},
      {"a\n\xED\xA0\x80", "f.csv:2: not UTF-8 (byte 0xed;"},  // half a surrogate pair
      {std::string("a\nb\0c\n", 6), "f.csv:2: holds a NUL character (byte 0x00)"},
      {"a\n\x1B[31mb\n", "f.csv:2: holds a control character (byte 0x1b)"},
      {utf16(u"clip,label\na,b\n", false), "f.csv:1: UTF-16 without a byte order mark (byte 0x00)"},
      {utf16(u"clip,label\na,b\n", true), "f.csv:1: UTF-16 without a byte order mark (byte 0x00)"},
      {utf16(u"\uFEFFa\nb\n", false) + "x", "f.csv:3: damaged UTF-16 text (half a character at byte 10)"},
      {utf16(u"\uFEFFa\n", true) + "\xD8\x01" + utf16(u"b", true), "f.csv:2: damaged UTF-16 text"},
      {std::string("\xFF\xFE\0\0a\0\0\0", 8), "f.csv:1: is text in UTF-32"},
      {"PK\x03\x04"
       "rest",
       "f.csv:1: is a ZIP archive, as Excel workbooks (.xlsx) are (it starts with byte 0x50)"},
      {"\x89PNG\r\n", "f.csv:1: is a PNG picture"},
      {"\xFF\xD8\xFF\xE0", "f.csv:1: is a JPEG picture"},
      {"{\\rtf1 nod}", "f.csv:1: is an RTF document"},
  };
  for (const auto& [bytes, message] : faults) {
    const std::string error = error_of(bytes);
    CAPTURE(message);
    CHECK_MESSAGE(error.find(message) == 0, error);
    CHECK(error.find("CSV UTF-8 (comma delimited)") != std::string::npos);
  }
}

TEST_CASE("a file's faults have its path and the caller's code; lines come without their ends") {
  const test::TemporaryFolder folder;
  write_whole_file(folder / "a.txt", "x\r\ny");
  CHECK(read_text_file(folder / "a.txt", ExitCode::config) == "x\ny");
  try {
    read_text_file(folder / "none.txt", ExitCode::config);
    FAIL("expected an error");
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::config);
    CHECK(std::string(e.what()).find("none.txt: cannot read") != std::string::npos);
  }
  CHECK(lines_of("").empty());
  CHECK(lines_of("a\n\nb") == Lines{"a", "", "b"});
  CHECK(lines_of("a\n\n") == Lines{"a", ""});
}

}  // namespace mg
