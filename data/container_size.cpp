#include "data/container_size.h"

#include <algorithm>
#include <array>
#include <bit>
#include <fstream>
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
  if (four_letters(head, 0) == "RIFF" && four_letters(head, 8) == "AVI ") {
    return 8 + (std::uint64_t{head[4]} | std::uint64_t{head[5]} << 8 | std::uint64_t{head[6]} << 16 |
                std::uint64_t{head[7]} << 24);
  }
  return promised_by_boxes(file, file_bytes);
}

}  // namespace mg
