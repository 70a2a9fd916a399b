#include "tools/convert/torch_archive.h"

#include <charconv>
#include <cstring>

#include "engine/error.h"
#include "tools/convert/pickle.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxSmallEntry = 64;  // version, byteorder
constexpr int kFirstVersion = 1,
              kLastVersion = 10;  // of the archive's format, as PyTorch 1.6 to 2.x write it

struct CloseEntry {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

// A name that stays inside the folder it would be unpacked to.
bool is_plain_path(const std::string& name) {
  const fs::path path(name);
  if (name.empty() || path.is_absolute() || name.find('\\') != std::string::npos) return false;
  for (const fs::path& part : path) {
    if (part == ".." || part == ".") return false;
  }
  return true;
}

}  // namespace

template <class... Args>
void TorchArchive::fail(fmt::format_string<Args...> format, Args&&... args) const {
  throw Error(ExitCode::checkpoint, "{}: {}", file_, fmt::format(format, std::forward<Args>(args)...));
}

TorchArchive::TorchArchive(const fs::path& path) : file_(path.string()) { open(); }

TorchArchive::TorchArchive(std::span<const char> bytes, std::string name)
    : file_(std::move(name)), memory_(bytes) {
  open();
}

std::unique_ptr<StorageSource> TorchArchive::reopen() const {
  if (memory_) return std::make_unique<TorchArchive>(*memory_, file_);
  return std::make_unique<TorchArchive>(fs::path(file_));
}

void TorchArchive::open() {
  zip_error_t error;
  zip_error_init(&error);
  const std::uint64_t bytes = memory_ ? memory_->size() : fs::file_size(file_);
  zip_source_t* source = memory_ ? zip_source_buffer_create(memory_->data(), memory_->size(), 0, &error)
                                 : zip_source_file_create(file_.c_str(), 0, -1, &error);
  if (source == nullptr) fail("cannot open: {}", zip_error_strerror(&error));
  archive_.reset(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (!archive_) {
    const bool twice = zip_error_code_zip(&error) == ZIP_ER_EXISTS;
    const std::string reason = zip_error_strerror(&error);
    zip_error_fini(&error);
    zip_source_free(source);
    if (twice) fail("an entry is there twice");
    fail("a damaged zip archive, or one that is cut off: {}", reason);
  }
  std::uint64_t sum = 0;
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    if (zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW, &stat) != 0) {
      fail("entry {}: {}", i, zip_strerror(archive_.get()));
    }
    add_entry(stat);
    // Entries that share bytes make much from little; a size that lies would take memory for nothing.
    if (__builtin_add_overflow(sum, stat.size, &sum) || sum > bytes) {
      fail("{}: entries of {} bytes together in a file of {}", stat.name, sum, bytes);
    }
  }
  check_contents();
}

void TorchArchive::add_entry(const zip_stat_t& stat) {
  const std::string name = stat.name;
  if (!is_plain_path(name)) fail("'{}': expected a name inside the archive's folder", name);
  if (prefix_.empty()) prefix_ = name.substr(0, name.find('/') + 1);
  if (prefix_.empty() || !name.starts_with(prefix_)) {
    fail("{}: expected all entries in one folder, {}", name,
         prefix_.empty() ? "got none" : "here " + prefix_);
  }
  if (stat.encryption_method != ZIP_EM_NONE) fail("{}: encrypted", name);
  if (stat.comp_method != ZIP_CM_STORE || stat.comp_size != stat.size) {
    fail("{}: compressed ({} bytes in {}), which torch.save never does: pack it without compression", name,
         stat.size, stat.comp_size);
  }
  entries_.emplace(name.substr(prefix_.size()), Entry{stat.index, stat.size});
}

void TorchArchive::check_contents() {
  const auto code = entries_.lower_bound("code/");
  if (find("constants.pkl") != nullptr || (code != entries_.end() && code->first.starts_with("code/"))) {
    fail(
        "a TorchScript archive, which is a program: save its weights instead, "
        "torch.save(torch.jit.load(...).state_dict(), ...)");
  }
  if (find("data.pkl") == nullptr) fail("expected an entry <name>/data.pkl, as torch.save writes it");
  const std::string version = read_small("version", kMaxSmallEntry);
  int number = 0;
  std::from_chars(version.data(), version.data() + version.size(), number);
  if (number < kFirstVersion || number > kLastVersion) {
    fail("{}version: expected a number of {} to {}, got '{}'", prefix_, kFirstVersion, kLastVersion, version);
  }
  // PyTorch before 2.1 did not say, and was little.
  if (find("byteorder") == nullptr) return;
  const std::string order = read_small("byteorder", kMaxSmallEntry);
  if (order != "little") fail("{}byteorder: expected little, got '{}'", prefix_, order);
}

const TorchArchive::Entry* TorchArchive::find(const std::string& entry) const {
  const auto found = entries_.find(entry);
  return found == entries_.end() ? nullptr : &found->second;
}

std::string TorchArchive::name_of(const std::string& entry) const { return file_ + ": " + prefix_ + entry; }

std::string TorchArchive::read_small(const std::string& entry, std::uint64_t limit) {
  const Entry* found = find(entry);
  if (found == nullptr) fail("expected an entry {}{}, as torch.save writes it", prefix_, entry);
  if (found->bytes > limit) {
    fail("{}{}: {} bytes are above the limit of {}", prefix_, entry, found->bytes, limit);
  }
  std::string content(found->bytes, '\0');
  read_entry(entry, content.data());
  return content;
}

std::string TorchArchive::read_pickle() { return read_small("data.pkl", kMaxPickle); }

std::optional<std::uint64_t> TorchArchive::bytes_of(const std::string& key) const {
  const Entry* found = find("data/" + key);
  return found == nullptr ? std::nullopt : std::optional(found->bytes);
}

void TorchArchive::read(const std::string& key, char* out) { read_entry("data/" + key, out); }

void TorchArchive::read_entry(const std::string& entry, char* out) {
  const Entry& found = entries_.at(entry);
  const std::unique_ptr<zip_file_t, CloseEntry> file(zip_fopen_index(archive_.get(), found.index, 0));
  if (!file) fail("{}{}: {}", prefix_, entry, zip_strerror(archive_.get()));
  std::uint64_t done = 0;
  while (done < found.bytes) {
    const zip_int64_t got = zip_fread(file.get(), out + done, found.bytes - done);
    if (got <= 0)
      fail("{}{}: {}", prefix_, entry, got == 0 ? "it is cut off" : zip_file_strerror(file.get()));
    done += static_cast<std::uint64_t>(got);
  }
  // The CRC is compared when the end is reached.
  char beyond = 0;
  if (zip_fread(file.get(), &beyond, 1) != 0)
    fail("{}{}: damaged: {}", prefix_, entry, zip_file_strerror(file.get()));
}

}  // namespace mg
