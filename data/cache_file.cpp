#include "data/cache_file.h"

#include <xxhash.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "data/descriptor.h"
#include "data/file_hash.h"
#include "data/hdf5_image.h"
#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::size_t kFront = 4096;
constexpr std::string_view kHdf5 = "\x89HDF\r\n\x1a\n";
constexpr std::string_view kFooterMark = "mg frame cache index";

std::string footer(std::uint64_t index_begin, const std::string& hash) {
  return fmt::format("{} {:020} {}\n", kFooterMark, index_begin, hash);
}
const std::size_t kFooterBytes = footer(0, std::string(32, '0')).size();

// ---- index ----

json to_json(const CacheEntry& e) {
  const auto* checks = reinterpret_cast<const std::uint8_t*>(e.checks.data());
  return {{"name", e.name},
          {"range", e.range},
          {"source", e.source},
          {"source_hash", e.source_hash},
          {"source_bytes", e.source_bytes},
          {"source_mtime", e.source_mtime},
          {"fps", e.fps},
          {"decoder", e.decoder},
          {"fault", e.fault},
          {"count", e.count},
          {"height", e.height},
          {"width", e.width},
          {"offset", e.offset},
          {"checks", json::binary({checks, checks + e.checks.size() * sizeof(std::uint32_t)})}};
}

// Empty when it tells of frames that cannot be there.
std::optional<CacheEntry> to_entry(const json& j, std::uint64_t pixels_end) {
  CacheEntry e;
  for (const auto& [name, text] : {std::pair{"name", &e.name},
                                   {"range", &e.range},
                                   {"source", &e.source},
                                   {"source_hash", &e.source_hash},
                                   {"decoder", &e.decoder},
                                   {"fault", &e.fault}}) {
    *text = j.at(name).get<std::string>();
  }
  e.source_bytes = j.at("source_bytes");
  e.source_mtime = j.at("source_mtime");
  e.fps = j.at("fps");
  e.count = j.at("count");
  e.height = j.at("height");
  e.width = j.at("width");
  e.offset = j.at("offset");
  const json::binary_t& checks = j.at("checks").get_binary();
  const bool sizes = e.count >= 0 && e.count <= (1 << 30) && e.height >= 1 && e.height <= 8192 &&
                     e.width >= 1 && e.width <= 8192;
  const auto count = static_cast<std::uint64_t>(e.count);
  if (!sizes || checks.size() != count * sizeof(std::uint32_t) || e.fault.empty() != (e.count > 0) ||
      e.offset < kFront || e.offset > pixels_end || count * e.frame_bytes() > pixels_end - e.offset)
    return {};
  e.checks.resize(count);
  if (count > 0) std::memcpy(e.checks.data(), checks.data(), checks.size());
  return e;
}

// ---- reading ----

class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path), file_(open_to_read(path)) {
    const FileState state = file_state(path);
    if (state.bytes < 0) throw Error(ExitCode::data, "{}: is no frame cache: not a file", path.string());
    size_ = static_cast<std::uint64_t>(state.bytes);
  }

  std::optional<CacheFile> read(std::string& why) {
    const std::string front = part(0, std::min<std::uint64_t>(size_, kFront));
    const std::string line = size_ > kFooterBytes ? part(size_ - kFooterBytes, kFooterBytes) : "";
    const bool marked = front.find(kCacheMark) != std::string::npos, closed = line.starts_with(kFooterMark);
    if (!marked && !closed) refuse(front);
    why = closed ? "is damaged" : "is cut short, or of an earlier version";
    if (!closed || size_ < kFront) return {};
    const std::uint64_t begin = std::strtoull(line.c_str() + kFooterMark.size(), nullptr, 10);
    if (begin < kFront || begin > size_ - kFooterBytes) return {};
    const std::string index = part(begin, size_ - kFooterBytes - begin);
    if (footer(begin, text_hash(index)) != line) return {};
    return entries(index, front, begin);
  }

 private:
  std::string part(std::uint64_t begin, std::uint64_t bytes) const {
    std::string text(bytes, '\0');
    read_at(file_, path_, begin, reinterpret_cast<std::uint8_t*>(text.data()), bytes);
    return text;
  }

  [[noreturn]] void refuse(const std::string& front) const {
    const char* what = !front.starts_with(kHdf5) ? "is no frame cache: not an HDF5 file"
                       : size_ < kFront          ? "is cut so short that it cannot be told what it was"
                                                 : "is an HDF5 file, but no frame cache";
    throw Error(ExitCode::data, "{}: {}: remove it, or name another cache (--cache)", path_.string(),
                size_ == 0 ? "is no frame cache: it is empty" : what);
  }

  // Of an index that is what was written.
  std::optional<CacheFile> entries(const std::string& index, const std::string& front,
                                   std::uint64_t begin) const {
    try {
      const json j = json::from_cbor(index);
      const std::uint64_t pixels_end = j.at("pixels_end");
      if (j.at("schema") != kCacheSchema || pixels_end > begin) return {};
      if (j.at("description") != text_hash(front + part(pixels_end, begin - pixels_end))) return {};
      CacheFile cache{j.at("decode"), {}};
      for (const json& clip : j.at("clips")) {
        std::optional<CacheEntry> e = to_entry(clip, pixels_end);
        if (!e) return {};
        cache.entries.push_back(std::move(*e));
      }
      return cache;
    } catch (const json::exception&) {
      return {};
    }
  }

  const fs::path& path_;
  Descriptor file_;
  std::uint64_t size_ = 0;
};

}  // namespace

std::uint32_t frame_check(const std::uint8_t* rgb, std::size_t bytes) {
  return static_cast<std::uint32_t>(XXH3_64bits(rgb, bytes));
}

std::optional<CacheFile> read_cache_file(const fs::path& path, std::string& why) {
  return Reader(path).read(why);
}

CacheWriter::CacheWriter(const fs::path& path, const std::string& decode)
    : file_(path), decode_(decode), end_(kFront) {
  file_.write(std::string(kFront, '\0'));
}

void CacheWriter::add(CacheEntry e, const std::uint8_t* rgb) {
  e.offset = end_;
  e.checks.clear();
  for (std::int64_t i = 0; i < e.count; ++i) {
    e.checks.push_back(frame_check(rgb + static_cast<std::uint64_t>(i) * e.frame_bytes(), e.frame_bytes()));
  }
  const std::uint64_t bytes = static_cast<std::uint64_t>(e.count) * e.frame_bytes();
  file_.write(rgb, bytes);
  end_ += bytes;
  entries_.push_back(std::move(e));
}

void CacheWriter::finish() {
  const Hdf5Image hdf5 = hdf5_image(decode_, entries_, kFront, end_);
  json clips = json::array();
  for (const CacheEntry& e : entries_) clips.push_back(to_json(e));
  std::string index;
  json::to_cbor({{"schema", kCacheSchema},
                 {"decode", decode_},
                 {"pixels_end", end_},
                 {"description", text_hash(hdf5.front + hdf5.rest)},
                 {"clips", std::move(clips)}},
                index);
  file_.write(hdf5.rest);
  file_.write(index);
  file_.write(footer(end_ + hdf5.rest.size(), text_hash(index)));
  file_.write_at(0, hdf5.front);
  file_.commit();
}

}  // namespace mg
