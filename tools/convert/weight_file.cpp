#include "tools/convert/weight_file.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/strict_json.h"
#include "tools/convert/torch_file.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::array kFolderFiles{"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                  "pytorch_model.bin.index.json"};
constexpr int kMaxIndexDepth = 16;
constexpr std::uint64_t kMaxIndex = 100'000'000;  // bytes, as a safetensors header

enum class Format { safetensors, torch_zip, index };

template <class... Args>
[[noreturn]] void refuse(const fs::path& path, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ExitCode::checkpoint, "{}: {}", path.string(),
              fmt::format(format, std::forward<Args>(args)...));
}

// What of the first bytes tells a format, and what to do about those that are not read.
struct Signature {
  std::size_t at;
  std::string_view bytes;
  const char* refusal;
};
constexpr const char* kSaveAgain =
    "which is read by unpickling alone. Load it where you trust it and save it with torch.save of PyTorch "
    "1.6 or "
    "later";
constexpr std::array kRefused{
    Signature{257, "ustar", "a tar archive of PyTorch before 0.4, "},
    Signature{0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", "PyTorch's format before 1.6, "},
    Signature{0, "\x80", "a bare pickle, "},
    Signature{0, "\x1f\x8b", "compressed by gzip: unpack it first"},
    Signature{0, "\x89HDF", "HDF5 (Keras?): there is no reader for it"},
};

std::string first_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(path, "cannot open: {}", std::strerror(errno));
  if (!fs::is_regular_file(path)) refuse(path, "expected a file or a folder");
  std::string bytes(512, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

Format format_of(const fs::path& path) {
  const std::string bytes = first_bytes(path);
  if (bytes.empty()) refuse(path, "the file is empty");
  if (const std::string name = path.filename().string();
      name.ends_with(".incomplete") || name.ends_with(".part"))
    refuse(path, "a download that did not end: download it again");
  if (bytes.starts_with("version https://git-lfs"))
    refuse(path,
           "a pointer of Git LFS in place of the weights: `git lfs pull` in its repository fetches them");
  const std::size_t text_at = bytes.find_first_not_of(" \t\r\n");
  if (text_at != std::string::npos &&
      (bytes.compare(text_at, 9, "<!DOCTYPE") == 0 || bytes.compare(text_at, 9, "<!doctype") == 0 ||
       bytes.compare(text_at, 5, "<html") == 0)) {
    refuse(path, "a web page in place of the weights: the link leads to a page, or asks to sign in");
  }
  if (bytes.starts_with("PK\x03\x04")) return Format::torch_zip;
  // A safetensors file begins with a length below 2^32: four of its first eight bytes are zero.
  const bool text = bytes.substr(0, 8).find('\0') == std::string::npos;
  const std::size_t first = bytes.find_first_not_of(" \t\r\n");
  if (text && first != std::string::npos && bytes[first] == '{') return Format::index;
  if (path.extension() == ".safetensors" || (bytes.size() > 8 && bytes[8] == '{')) return Format::safetensors;
  for (const Signature& signature : kRefused) {
    if (bytes.size() < signature.at ||
        !std::string_view(bytes).substr(signature.at).starts_with(signature.bytes)) {
      continue;
    }
    refuse(path, "{}{}", signature.refusal,
           std::string_view(signature.refusal).ends_with(", ") ? kSaveAgain : "");
  }
  refuse(path, "neither a safetensors file, nor a zip of torch.save, nor the index of a sharded model");
}

std::vector<fs::path> files_of_folder(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const char* name : kFolderFiles) {
    if (fs::exists(folder / name)) found.push_back(folder / name);
  }
  if (!found.empty()) return found;
  std::vector<std::string> partial;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".incomplete") || name.ends_with(".part") || name.ends_with(".crdownload"))
      partial.push_back(name);
  }
  refuse(
      folder, "a folder: expected one of {} in it, got none{}", fmt::join(kFolderFiles, ", "),
      partial.empty() ? "" : fmt::format(", but a download that did not end: {}", fmt::join(partial, ", ")));
}

WeightFile read_one(const fs::path& path, Format format) {
  if (format == Format::safetensors) {
    SafetensorsFile file = read_safetensors(path);
    return {"safetensors",
            {path},
            std::move(file.tensors),
            std::move(file.stored_types),
            std::move(file.metadata),
            {}};
  }
  StateDict file = read_torch_file(path);
  return {"PyTorch zip",           {path}, std::move(file.tensors), std::move(file.stored_types), {},
          std::move(file.left_out)};
}

// {"metadata": {...}, "weight_map": {key: file}}
class ShardedReader {
 public:
  explicit ShardedReader(const fs::path& index) : index_(index) { result_.files.push_back(index); }

  WeightFile read() {
    const json index = parse();
    read_metadata(index);
    read_map(index["weight_map"]);
    std::set<std::string> shards;
    for (const auto& [key, shard] : shard_of_) shards.insert(shard);
    for (const std::string& shard : shards) read_shard(shard);
    for (const auto& [key, shard] : shard_of_) {
      if (!result_.tensors.contains(key))
        refuse(index_, "'{}': not in {}, where the index has it", key, shard);
    }
    result_.format += " (sharded)";
    return std::move(result_);
  }

 private:
  json parse() const {
    if (fs::file_size(index_) > kMaxIndex) refuse(index_, "an index above {} bytes", kMaxIndex);
    json index = parse_strict_json(read_whole_file(index_, ExitCode::checkpoint), kMaxIndexDepth,
                                   index_.string() + ": the index");
    if (!index.contains("weight_map") || !index["weight_map"].is_object() || index["weight_map"].empty()) {
      refuse(index_, "expected the index of a sharded model, with a weight_map of keys and files");
    }
    return index;
  }

  void read_metadata(const json& index) {
    const auto found = index.find("metadata");
    if (found == index.end()) return;
    if (!found->is_object()) refuse(index_, "metadata: expected an object");
    for (const auto& [key, value] : found->items()) {
      result_.metadata.emplace(key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }

  void read_map(const json& map) {
    for (const auto& [key, file] : map.items()) {
      if (!file.is_string()) refuse(index_, "weight_map: '{}': expected a file's name", key);
      const auto name = file.get<std::string>();
      if (name.empty() || name == "." || name == ".." ||
          name.find_first_of(std::string_view("/\\\0", 3)) != name.npos) {
        refuse(index_, "weight_map: '{}': expected the name of a file beside the index, got '{}'", key, name);
      }
      shard_of_.emplace(key, name);
    }
  }

  void read_shard(const std::string& name) {
    const fs::path path = index_.parent_path() / name;
    if (!fs::exists(path)) refuse(path, "the shard is missing, but {} names it", index_.filename().string());
    const Format format = format_of(path);
    if (format == Format::index) refuse(path, "expected a shard, got an index");
    WeightFile shard = read_one(path, format);
    if (!result_.format.empty() && result_.format != shard.format) {
      refuse(path, "expected a {} as the shards before it, got a {}", result_.format, shard.format);
    }
    for (const auto& [key, tensor] : shard.tensors) {
      const auto listed = shard_of_.find(key);
      if (listed == shard_of_.end()) refuse(path, "'{}': not in the index", key);
      if (listed->second != name)
        refuse(path, "'{}': also here, but the index has it in {}", key, listed->second);
    }
    result_.format = shard.format;
    result_.files.push_back(path);
    result_.tensors.merge(shard.tensors);
    result_.stored_types.merge(shard.stored_types);
    for (std::string& text : shard.left_out) result_.left_out.push_back(fmt::format("{}: {}", name, text));
  }

  fs::path index_;
  std::map<std::string, std::string> shard_of_;
  WeightFile result_;
};

WeightFile read_file(const fs::path& file) {
  const Format format = format_of(file);
  return format == Format::index ? ShardedReader(file).read() : read_one(file, format);
}

// Hugging Face's folders often hold the same weights twice. Which is meant cannot be known where they differ.
void compare_copy(WeightFile& taken, const fs::path& copy) {
  const std::string name = copy.filename().string(), first = taken.files.front().filename().string();
  WeightFile other;
  try {
    other = read_file(copy);
  } catch (const Error& e) {
    taken.notes.push_back(fmt::format("{} is read; {} cannot be: {}", first, name, e.what()));
    return;
  }
  std::size_t common = 0;
  for (const auto& [key, tensor] : other.tensors) {
    const auto found = taken.tensors.find(key);
    if (found == taken.tensors.end()) continue;
    ++common;
    const Tensor& mine = found->second;
    const bool same = mine.shape() == tensor.shape() && mine.dtype() == tensor.dtype() &&
                      std::memcmp(mine.as<char>(), tensor.as<char>(), tensor.bytes()) == 0;
    if (!same) {
      refuse(copy.parent_path(),
             "{} and {} differ in '{}': name the one to read (`mgconvert diff` shows all)", first, name, key);
    }
  }
  taken.notes.push_back(
      fmt::format("{} is read; {} has {} of its tensors, all with the same numbers", first, name, common));
}

}  // namespace

WeightFile read_weight_file(const fs::path& path) {
  try {
    if (!fs::is_directory(path)) return read_file(path);
    const std::vector<fs::path> files = files_of_folder(path);
    WeightFile result = read_file(files.front());
    for (std::size_t i = 1; i < files.size(); ++i) compare_copy(result, files[i]);
    return result;
  } catch (const fs::filesystem_error& e) {
    throw Error(ExitCode::checkpoint, "{}: {}", path.string(), e.code().message());
  }
}

}  // namespace mg
