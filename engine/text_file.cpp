#include "engine/text_file.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/file.h"

namespace mg {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr const char* kAdvice =
    "save it as plain text in UTF-8 (in a spreadsheet: \"CSV UTF-8 (comma delimited)\")";

struct Kind {
  std::string_view start;
  const char* name;
};
// What people give in place of a text file.
constexpr std::array kOtherFiles{
    Kind{"PK\x03\x04", "a ZIP archive, as Excel workbooks (.xlsx) are"},
    Kind{"\xD0\xCF\x11\xE0", "an old Excel workbook (.xls) or Word document"},
    Kind{"\x89PNG", "a PNG picture"},
    Kind{"\xFF\xD8\xFF", "a JPEG picture"},
    Kind{"GIF8", "a GIF picture"},
    Kind{"%PDF", "a PDF document"},
    Kind{"{\\rtf", "an RTF document"},
    Kind{"\x1F\x8B", "compressed by gzip"},
    Kind{"\x89HDF", "an HDF5 file"},
    Kind{"<!DOCTYPE", "a web page"},
    Kind{"<!doctype", "a web page"},
    Kind{"<html", "a web page"},
    Kind{std::string_view("\xFF\xFE\0\0", 4), "text in UTF-32"},
    Kind{std::string_view("\0\0\xFE\xFF", 4), "text in UTF-32"},
};

std::int64_t line_at(std::string_view text, std::size_t at) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
}

std::string with_line_feeds(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      result += text[i];
    } else if (text.substr(i + 1, 1) != "\n") {
      result += '\n';
    }
  }
  return result;
}

std::string from_utf16(std::string_view bytes, bool big_endian, const std::string& name, ExitCode code) {
  const auto unit = [&](std::size_t i) {
    const auto first = static_cast<unsigned char>(bytes[i]),
               second = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<std::uint32_t>(big_endian ? first << 8 | second : second << 8 | first);
  };
  const auto is_half = [](std::uint32_t u, std::uint32_t start) { return u >= start && u < start + 0x400; };
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint32_t c = i + 1 < bytes.size() ? unit(i) : 0xD800;
    if (is_half(c, 0xD800) && i + 3 < bytes.size() && is_half(unit(i + 2), 0xDC00)) {
      c = 0x10000 + ((c - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
      i += 2;
    } else if (c >= 0xD800 && c < 0xE000) {
      throw Error(code, "{}:{}: damaged UTF-16 text (half a character at byte {}): {}", name,
                  line_at(text, text.size()), i + 2, kAdvice);
    }
    std::array<utf8proc_uint8_t, 4> utf8{};
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), utf8.data());
    text.append(reinterpret_cast<const char*>(utf8.data()), static_cast<std::size_t>(length));
  }
  return text;
}

// Whether a text with NULs is UTF-16: most of its characters are two bytes, of which one is 0.
bool looks_like_utf16(std::string_view text) {
  std::array<std::size_t, 2> zeros{};
  for (std::size_t i = 0; i < text.size(); ++i) zeros[i % 2] += text[i] == '\0' ? 1 : 0;
  return std::max(zeros[0], zeros[1]) > text.size() / 4;
}

void check_characters(std::string_view text, const std::string& name, ExitCode code) {
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                                         static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length < 0) {
      throw Error(code, "{}:{}: not UTF-8 (byte 0x{:02x}; the file may be in Latin-1 or Windows-1252): {}",
                  name, line_at(text, at), byte, kAdvice);
    }
    if (c == 0 && looks_like_utf16(text)) {
      throw Error(code, "{}:{}: UTF-16 without a byte order mark (byte 0x00): {}", name, line_at(text, at),
                  kAdvice);
    }
    if (c < 0x20 && (c < '\t' || c > '\r')) {
      throw Error(code, "{}:{}: holds a {} (byte 0x{:02x}), which text does not: {}", name, line_at(text, at),
                  c == 0 ? "NUL character" : "control character", byte, kAdvice);
    }
    at += static_cast<std::size_t>(length);
  }
}

}  // namespace

std::string decode_text(std::string_view bytes, const std::string& name, ExitCode code) {
  for (const Kind& kind : kOtherFiles) {
    if (bytes.starts_with(kind.start)) {
      throw Error(code, "{}:1: is {} (it starts with byte 0x{:02x}), not a plain text file: {}", name,
                  kind.name, static_cast<unsigned char>(bytes.front()), kAdvice);
    }
  }
  const bool little = bytes.starts_with("\xFF\xFE"), big = bytes.starts_with("\xFE\xFF");
  const std::string decoded =
      little || big ? from_utf16(bytes.substr(2), big, name, code) : std::string(bytes);
  std::string_view text = decoded;
  while (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t tail = text.find_last_not_of("\x1A\r\n") + 1;
  text = text.substr(0, std::min(text.find('\x1A', tail), text.size()));
  std::string result = with_line_feeds(text);
  check_characters(result, name, code);
  return result;
}

std::string read_text_file(const std::filesystem::path& path, ExitCode code) {
  return decode_text(read_whole_file(path, code), path.string(), code);
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace mg
