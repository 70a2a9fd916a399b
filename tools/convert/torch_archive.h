// The zip archive that torch.save writes: <prefix>/data.pkl, <prefix>/version, <prefix>/byteorder and a
// storage in each <prefix>/data/N, none of them compressed. Nothing is ever unpacked to the file system.
#pragma once

#include <zip.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tools/convert/state_dict.h"

namespace mg {

class TorchArchive : public StorageSource {
 public:
  // Both read the directory and check it: names, sizes against the file's, no entry twice. Throws
  // Error(ExitCode::checkpoint) with the file and the entry. The bytes must stay as long as the archive.
  explicit TorchArchive(const std::filesystem::path& path);
  TorchArchive(std::span<const char> bytes, std::string name);

  std::string read_pickle();                            // data.pkl
  std::string name_of(const std::string& entry) const;  // "x.pth: archive/data.pkl"
  std::optional<std::uint64_t> bytes_of(const std::string& key) const override;
  void read(const std::string& key, char* out) override;
  std::unique_ptr<StorageSource> reopen() const override;

 private:
  struct Entry {
    zip_uint64_t index, bytes;
  };
  struct Discard {
    void operator()(zip_t* archive) const { zip_discard(archive); }
  };

  void open();
  void add_entry(const zip_stat_t& stat);
  void check_contents();
  const Entry* find(const std::string& entry) const;
  std::string read_small(const std::string& entry, std::uint64_t limit);
  void read_entry(const std::string& entry, char* out);
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const;

  std::string file_;
  std::optional<std::span<const char>> memory_;  // where the file is not on disk
  std::unique_ptr<zip_t, Discard> archive_;
  std::string prefix_;                    // with its slash
  std::map<std::string, Entry> entries_;  // by name without the prefix
};

}  // namespace mg
