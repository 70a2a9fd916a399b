#include "engine/safetensors.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <tuple>
#include <vector>

#include "engine/file.h"
#include "engine/stored_type.h"
#include "engine/strict_json.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr int kMaxDepth = 3;  // header, tensor, its shape

struct Entry {
  std::string name;
  const StoredType* type;
  Shape shape;
  std::uint64_t begin, end;
};

// Reads one file; every error starts with its name.
class Reader {
 public:
  Reader(std::istream& file, std::uint64_t size, std::string name)
      : file_(file), size_(size), name_(std::move(name)) {}

  SafetensorsFile read() {
    SafetensorsFile result;
    const json header = parse(read_header());
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__") {
        result.metadata = metadata(value);
      } else {
        entries.push_back(entry(name, value));
      }
    }
    check_layout(entries);
    for (const Entry& e : entries) {
      result.tensors.emplace(e.name, tensor(e));
      result.stored_types.emplace(e.name, e.type->name);
    }
    return result;
  }

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw Error(ExitCode::checkpoint, "{}: {}", name_, fmt::format(format, std::forward<Args>(args)...));
  }

  void read_bytes(void* out, std::uint64_t bytes) {
    file_.read(static_cast<char*>(out), static_cast<std::streamsize>(bytes));
    if (!file_) fail("cannot read: {}", std::strerror(errno));
  }

  std::string read_header() {
    if (size_ < 8) fail("expected a header length of 8 bytes, but the file has {} bytes", size_);
    std::uint64_t length = 0;
    read_bytes(&length, 8);
    if (length > kMaxHeader) fail("a header of {} bytes is above the limit of {}", length, kMaxHeader);
    if (length > size_ - 8) fail("a header of {} bytes does not fit in a file of {} bytes", length, size_);
    data_begin_ = 8 + length;
    data_size_ = size_ - data_begin_;
    std::string header(length, '\0');
    read_bytes(header.data(), length);
    if (header.empty() || header[0] != '{') fail("the header does not start with '{{'");
    return header;
  }

  json parse(const std::string& header) const {
    json result = parse_strict_json(header, kMaxDepth, name_ + ": the header");
    if (!result.is_object()) fail("the header is not an object");
    return result;
  }

  std::map<std::string, std::string> metadata(const json& value) const {
    if (!value.is_object()) fail("__metadata__: expected an object of strings");
    std::map<std::string, std::string> result;
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail("__metadata__: '{}': expected a string", key);
      result.emplace(key, text.get<std::string>());
    }
    return result;
  }

  Entry entry(const std::string& name, const json& value) const {
    if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets")) {
      fail("{}: expected an object of dtype, shape and data_offsets", name);
    }
    Entry e{name, nullptr, {}, 0, 0};
    const json &dtype = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
    if (dtype.is_string()) e.type = find_stored_type(dtype.get_ref<const std::string&>());
    if (e.type == nullptr) {
      fail("{}: dtype {}: expected F32, F16, BF16, F64, I64, I32, I16, I8, U8 or BOOL", name, dtype.dump());
    }
    if (!shape.is_array() || shape.size() > kMaxRank) {
      fail("{}: expected a shape of at most {} numbers", name, kMaxRank);
    }
    std::uint64_t bytes = e.type->bytes;
    for (const json& dim : shape) {
      if (!dim.is_number_unsigned()) fail("{}: shape: '{}' is no size", name, dim.dump());
      const auto extent = dim.get<std::uint64_t>();
      if (__builtin_mul_overflow(bytes, extent, &bytes) || extent > kLargest || bytes > kLargest) {
        fail("{}: the product of its shape {} overflows", name, shape.dump());
      }
      e.shape.append(static_cast<std::int64_t>(extent));
    }
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned()) {
      fail("{}: expected data_offsets of two numbers", name);
    }
    e.begin = offsets[0].get<std::uint64_t>();
    e.end = offsets[1].get<std::uint64_t>();
    if (e.end < e.begin) fail("{}: its data ends at {}, before it begins at {}", name, e.end, e.begin);
    if (e.end > data_size_) {
      fail("{}: its data ends at {}, but the file has {} bytes of data", name, e.end, data_size_);
    }
    if (e.end - e.begin != bytes) {
      fail("{}: {} of shape {} takes {} bytes, but its data has {}", name, e.type->name, shape.dump(), bytes,
           e.end - e.begin);
    }
    return e;
  }

  void check_layout(std::vector<Entry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    std::uint64_t end = 0;
    for (const Entry& e : entries) {
      if (e.begin < end) fail("{}: its data begins at {}, inside the tensor before it", e.name, e.begin);
      if (e.begin > end) fail("{}: a hole of {} bytes before its data", e.name, e.begin - end);
      end = e.end;
    }
    if (end != data_size_) fail("{} bytes of data after the last tensor", data_size_ - end);
  }

  Tensor tensor(const Entry& e) {
    Tensor result(heap_allocator(), e.shape, Layout::dense, e.type->dtype);
    file_.seekg(static_cast<std::streamoff>(data_begin_ + e.begin));
    if (e.type->convert == nullptr) {
      read_bytes(result.as<char>(), e.end - e.begin);
      return result;
    }
    constexpr std::uint64_t kBlock = 1 << 20;  // a multiple of every element's size
    std::vector<char> block(std::min(kBlock, e.end - e.begin));
    char* out = result.as<char>();
    for (std::uint64_t at = e.begin; at < e.end; at += kBlock) {
      const std::uint64_t bytes = std::min(kBlock, e.end - at);
      const auto count = static_cast<std::int64_t>(bytes / e.type->bytes);
      read_bytes(block.data(), bytes);
      e.type->convert(block.data(), count, out);
      out += count * size_of(e.type->dtype);
    }
    return result;
  }

  static constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  std::istream& file_;
  std::uint64_t size_;
  std::string name_;
  std::uint64_t data_begin_ = 0, data_size_ = 0;
};

}  // namespace

SafetensorsFile read_safetensors(std::istream& file, std::uint64_t size, const std::string& name) {
  return Reader(file, size, name).read();
}

SafetensorsFile read_safetensors(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path)) {
    throw Error(ExitCode::checkpoint, "{}: cannot open: {}", path.string(),
                fs::is_directory(path) ? "it is a folder" : std::strerror(errno));
  }
  return read_safetensors(file, fs::file_size(path), path.string());
}

void write_safetensors(const fs::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata) {
  // Widest elements first keeps every tensor aligned to its elements; within a width, by name.
  std::vector<std::pair<std::string, Tensor>> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return size_of(a.second.dtype()) > size_of(b.second.dtype());
  });
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::int64_t offset = 0;
  for (const auto& [name, tensor] : ordered) {
    json shape = json::array();
    for (int i = 0; i < tensor.shape().rank(); ++i) shape.push_back(tensor.dim(i));
    const std::int64_t bytes = tensor.count() * size_of(tensor.dtype());
    header[name] = {{"dtype", stored_type(tensor.dtype()).name},
                    {"shape", shape},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize(static_cast<std::size_t>(round_up(static_cast<std::int64_t>(text.size()), 8)), ' ');

  FileWriter file(path);
  const std::uint64_t length = text.size();
  file.write(&length, sizeof length);
  file.write(text);
  for (const auto& [name, tensor] : ordered) {
    const auto elem = static_cast<std::size_t>(size_of(tensor.dtype()));
    if (tensor.dense()) {
      file.write(tensor.as<char>(), static_cast<std::size_t>(tensor.count()) * elem);
      continue;
    }
    for (std::int64_t r = 0; r < tensor.rows(); ++r) {
      file.write(tensor.as<char>() + static_cast<std::size_t>(r * tensor.pitch()) * elem,
                 static_cast<std::size_t>(tensor.channels()) * elem);
    }
  }
  file.commit();
}

}  // namespace mg
