// Zip archives written field by field, so that every field can lie.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convert/pickle_writer.h"

namespace mg::test {

struct ZipEntry {
  std::string name, content;
  int method = 0, flags = 0;
  std::optional<std::uint32_t> crc = {}, size = {},
                               offset = {};  // what the directory says, where that is not the truth
};

struct ZipParts {
  std::string files, directory;
};

// What an entry's own header and its line of the directory have in common.
inline std::string zip_fields(const ZipEntry& e) {
  const auto little = PickleWriter::little;
  const auto true_crc = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(e.content.data()), static_cast<uInt>(e.content.size())));
  // version needed, flags, method, time and date, crc, compressed size, size, length of the name and of
  // extras
  return little(20, 2) + little(static_cast<std::uint64_t>(e.flags), 2) +
         little(static_cast<std::uint64_t>(e.method), 2) + little(0, 4) +
         little(e.crc.value_or(true_crc), 4) + little(e.content.size(), 4) +
         little(e.size.value_or(e.content.size()), 4) + little(e.name.size(), 2) + little(0, 2);
}

inline std::string zip_file(const ZipEntry& e) { return "PK\x03\x04" + zip_fields(e) + e.name + e.content; }

// An entry with an offset lies there already, inside another.
inline ZipParts zip_parts(const std::vector<ZipEntry>& entries) {
  const auto little = PickleWriter::little;
  ZipParts parts;
  for (const ZipEntry& e : entries) {
    parts.directory += "PK\x01\x02" + little(20, 2) + zip_fields(e) + little(0, 10) +
                       little(e.offset.value_or(parts.files.size()), 4) + e.name;
    if (!e.offset) parts.files += zip_file(e);
  }
  return parts;
}

inline std::string zip(const std::vector<ZipEntry>& entries, std::optional<std::uint64_t> said_count = {}) {
  const auto little = PickleWriter::little;
  const ZipParts parts = zip_parts(entries);
  const std::uint64_t count = said_count.value_or(entries.size());
  return parts.files + parts.directory + "PK\x05\x06" + little(0, 4) + little(count, 2) + little(count, 2) +
         little(parts.directory.size(), 4) + little(parts.files.size(), 4) + little(0, 2);
}

// With the directory's end in 64 bits.
inline std::string zip64(const std::vector<ZipEntry>& entries, std::uint64_t said_count) {
  const auto little = PickleWriter::little;
  const ZipParts parts = zip_parts(entries);
  const std::string end = "PK\x06\x06" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) +
                          little(said_count, 8) + little(said_count, 8) + little(parts.directory.size(), 8) +
                          little(parts.files.size(), 8);
  const std::string locator =
      "PK\x06\x07" + little(0, 4) + little(parts.files.size() + parts.directory.size(), 8) + little(1, 4);
  return parts.files + parts.directory + end + locator + "PK\x05\x06" + little(0, 4) +
         little(~std::uint64_t{0}, 2) + little(~std::uint64_t{0}, 2) + little(~std::uint64_t{0}, 4) +
         little(~std::uint64_t{0}, 4) + little(0, 2);
}

// What torch.save would write around a pickle, with one storage of four bytes an element for each number of
// elements.
inline std::vector<ZipEntry> torch_entries(const std::string& pickle,
                                           const std::vector<std::size_t>& elements = {4}) {
  std::vector<ZipEntry> entries{{"x/data.pkl", pickle}, {"x/byteorder", "little"}};
  for (std::size_t i = 0; i < elements.size(); ++i) {
    entries.push_back({"x/data/" + std::to_string(i), std::string(4 * elements[i], '\x01')});
  }
  entries.push_back({"x/version", "3\n"});
  return entries;
}

}  // namespace mg::test
