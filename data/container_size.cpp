#include "data/container_size.h"

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
#include <string>
#include <string_view>

namespace mg {

namespace {

constexpr std::size_t kHead = 64;
using Head = std::array<unsigned char, kHead>;

// The bytes at `offset`, zeros after the file's end.
Head read_at(std::ifstream& file, std::uint64_t offset) {
  Head head{};
  file.clear();
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(head.data()), kHead);
  return head;
}

std::string_view four_letters(const Head& head, std::size_t at) {
  return {reinterpret_cast<const char*>(head.data()) + at, 4};
}

std::uint64_t big_endian(const Head& head, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | head[at + i];
  return value;
}

// MP4 is a row of boxes: size, type, content. What is no well-known box is not taken for a promise.
std::uint64_t promised_by_boxes(std::ifstream& file, std::uint64_t file_bytes) {
  constexpr std::array<std::string_view, 12> kKnown{"ftyp", "moov", "mdat", "moof", "free", "skip",
                                                    "wide", "uuid", "sidx", "mfra", "meta", "styp"};
  std::uint64_t offset = 0;
  while (offset + 8 <= file_bytes) {
    const Head head = read_at(file, offset);
    if (std::find(kKnown.begin(), kKnown.end(), four_letters(head, 4)) == kKnown.end()) return 0;
    std::uint64_t size = big_endian(head, 0, 4);
    if (size == 1) size = big_endian(head, 8, 8);
    if (size < 8) return 0;  // 0: to the file's end, wherever that is
    if (size > file_bytes - offset) return size > UINT64_MAX - offset ? UINT64_MAX : offset + size;
    offset += size;
  }
  return offset;
}

std::uint64_t little_endian(const Head& head, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | head[at + i];
  return value;
}

// AVI is a row of RIFF chunks, the second and further ones (OpenDML) for what is beyond a gigabyte. A writer
// that cannot go back, to a pipe, leaves 0 or all ones for the size.
std::uint64_t promised_by_riff(std::ifstream& file, std::uint64_t file_bytes) {
  std::uint64_t offset = 0;
  while (offset + 12 <= file_bytes) {
    const Head head = read_at(file, offset);
    const std::uint64_t size = little_endian(head, 4, 4);
    if (four_letters(head, 0) != "RIFF" || size == 0 || size == 0xffffffff) return 0;
    offset += 8 + size + size % 2;
    // The last chunk's padding is often left out.
    if (offset > file_bytes) return offset - size % 2;
  }
  return offset > file_bytes ? offset : 0;
}

// ASF: the header is an object of objects, of which File Properties states the file's size.
std::uint64_t promised_by_asf(std::ifstream& file) {
  constexpr std::array<unsigned char, 16> kFileProperties{0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11,
                                                          0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65};
  const std::uint64_t header_bytes = little_endian(read_at(file, 0), 16, 8);
  std::uint64_t offset = 30;
  for (int objects = 0; objects < 64 && offset + 24 <= header_bytes; ++objects) {
    const Head head = read_at(file, offset);
    const std::uint64_t bytes = little_endian(head, 16, 8);
    if (std::equal(kFileProperties.begin(), kFileProperties.end(), head.begin())) {
      // Written live (the object's flags are in its 89th byte): no size is known.
      const bool live = (read_at(file, offset + 88)[0] & 1) != 0;
      return live ? 0 : little_endian(head, 40, 8);
    }
    if (bytes < 24 || bytes > header_bytes) return 0;
    offset += bytes;
  }
  return 0;
}

// FLV is a row of tags, each followed by its length. The first one's properties may have the file's size.
std::uint64_t promised_by_tags(std::ifstream& file, std::uint64_t file_bytes) {
  std::string properties(2048, '\0');
  file.clear();
  file.seekg(0);
  file.read(properties.data(), static_cast<std::streamsize>(properties.size()));
  constexpr std::string_view kName = "filesize";  // then a number's type, 0, and the number
  const std::size_t at = properties.find(kName);
  if (at != std::string::npos && at + kName.size() + 9 <= properties.size()) {
    std::uint64_t bits = 0;
    for (std::size_t i = 1; i < 9; ++i) {
      bits = bits << 8 | static_cast<unsigned char>(properties[at + kName.size() + i]);
    }
    const double stated = std::bit_cast<double>(bits);
    if (stated > static_cast<double>(file_bytes) && stated < 1e15) return static_cast<std::uint64_t>(stated);
  }
  std::uint64_t offset = big_endian(read_at(file, 0), 5, 4) + 4;
  while (offset < file_bytes) {
    const Head head = read_at(file, offset);
    const std::uint64_t content = big_endian(head, 1, 3);
    if (head[0] != 8 && head[0] != 9 && head[0] != 18) return 0;
    offset += 11 + content + 4;
  }
  return offset > file_bytes + 4 ? offset : 0;  // the last length is left out at times
}

// MXF is a row of keys, lengths and values; the first says where the last part, the footer, begins.
std::uint64_t promised_by_klv(std::ifstream& file, std::uint64_t file_bytes) {
  const Head first = read_at(file, 0);
  const std::size_t first_value = 17 + (first[16] < 128 ? 0 : first[16] & 7u);
  const std::uint64_t footer = big_endian(first, first_value + 24, 8);
  if (footer >= file_bytes) return footer < UINT64_MAX - 17 ? footer + 17 : UINT64_MAX;
  std::uint64_t offset = 0;
  while (offset < file_bytes) {
    const Head head = read_at(file, offset);
    if (big_endian(head, 0, 4) != 0x060e2b34) return offset + 17 > file_bytes ? offset + 17 : 0;
    const std::size_t length = head[16] < 128 ? 0 : head[16] & 127u;
    if (length > 8) return 0;
    const std::uint64_t size = length == 0 ? head[16] : big_endian(head, 17, length);
    if (size > (std::uint64_t{1} << 62)) return UINT64_MAX;
    offset += 17 + length + size;
  }
  return offset;
}

// Ogg is a row of pages; the last page of each stream says that it is the last.
std::uint64_t promised_by_pages(std::ifstream& file, std::uint64_t file_bytes) {
  std::uint64_t offset = 0;
  while (offset < file_bytes) {
    const Head head = read_at(file, offset);
    if (four_letters(head, 0) != "OggS") return offset + 27 > file_bytes ? offset + 27 : 0;
    std::uint64_t content = 0;
    const std::size_t segments = head[26];
    for (std::size_t i = 0; i < segments; i += kHead) {
      const Head lengths = read_at(file, offset + 27 + i);
      for (std::size_t k = 0; k < kHead && i + k < segments; ++k) content += lengths[k];
    }
    offset += 27 + segments + content;
  }
  return offset;
}

// A GIF ends with a byte of its own.
std::uint64_t promised_by_trailer(std::ifstream& file, std::uint64_t file_bytes) {
  for (std::uint64_t back = 1; back <= std::min<std::uint64_t>(file_bytes, 1024); ++back) {
    const unsigned char last = read_at(file, file_bytes - back)[0];
    if (last == 0x3b) return 0;
    if (last != 0) break;  // some writers pad
  }
  return file_bytes + 1;
}

// A variable-length size of EBML at head[at]; moves at behind it. All ones: unknown, here 0.
std::uint64_t ebml_size(const Head& head, std::size_t& at) {
  const auto length = static_cast<std::size_t>(std::countl_zero(head[at])) + 1;
  if (length > 8) return 0;
  const std::uint64_t mask = (std::uint64_t{1} << (7 * length)) - 1;
  const std::uint64_t size = big_endian(head, at, length) & mask;
  at += length;
  return size == mask ? 0 : size;
}

// Matroska is an EBML header and a segment.
std::uint64_t promised_by_segment(std::ifstream& file) {
  std::size_t at = 4;
  const Head header = read_at(file, 0);
  const std::uint64_t header_bytes = ebml_size(header, at);
  const std::uint64_t segment = at + header_bytes;
  if (header_bytes == 0 || header_bytes > 4096) return 0;
  const Head head = read_at(file, segment);
  if (big_endian(head, 0, 4) != 0x18538067) return 0;
  at = 4;
  const std::uint64_t bytes = ebml_size(head, at);
  return bytes == 0 ? 0 : segment + at + bytes;
}

}  // namespace

std::uint64_t promised_bytes(const std::filesystem::path& path) {
  std::error_code status;
  const std::uint64_t file_bytes = std::filesystem::file_size(path, status);
  std::ifstream file(path, std::ios::binary);
  if (status || !file) return 0;
  const Head head = read_at(file, 0);
  if (big_endian(head, 0, 4) == 0x1A45DFA3) return promised_by_segment(file);
  if (four_letters(head, 0) == "RIFF") return promised_by_riff(file, file_bytes);
  if (big_endian(head, 0, 4) == 0x3026b275) return promised_by_asf(file);
  if (four_letters(head, 0).substr(0, 3) == "FLV") return promised_by_tags(file, file_bytes);
  if (big_endian(head, 0, 4) == 0x060e2b34) return promised_by_klv(file, file_bytes);
  if (four_letters(head, 0) == "OggS") return promised_by_pages(file, file_bytes);
  if (four_letters(head, 0) == "GIF8") return promised_by_trailer(file, file_bytes);
  return promised_by_boxes(file, file_bytes);
}

}  // namespace mg
