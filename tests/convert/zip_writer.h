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
  std::optional<std::uint32_t> crc, size, offset;  // what the directory says, where that is not the truth
};

inline std::string zip(const std::vector<ZipEntry>& entries, std::optional<std::uint64_t> said_count = {}) {
  const auto little = PickleWriter::little;
  std::string files, directory;
  for (const ZipEntry& e : entries) {
    const auto true_crc = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(e.content.data()), static_cast<uInt>(e.content.size())));
    // version needed, flags, method, time, date, crc, compressed size, size, length of the name and of extras
    const std::string fields = little(20, 2) + little(static_cast<std::uint64_t>(e.flags), 2) +
                               little(static_cast<std::uint64_t>(e.method), 2) + little(0, 4) +
                               little(e.crc.value_or(true_crc), 4) + little(e.content.size(), 4) +
                               little(e.size.value_or(e.content.size()), 4) + little(e.name.size(), 2) +
                               little(0, 2);
    const std::uint64_t offset = e.offset.value_or(files.size());
    files += "PK\x03\x04" + fields + e.name + e.content;
    directory += "PK\x01\x02" + little(20, 2) + fields + little(0, 10) + little(offset, 4) + e.name;
  }
  const std::uint64_t count = said_count.value_or(entries.size());
  return files + directory + "PK\x05\x06" + little(0, 4) + little(count, 2) + little(count, 2) +
         little(directory.size(), 4) + little(files.size(), 4) + little(0, 2);
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
