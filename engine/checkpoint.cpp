#include "engine/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <system_error>

#include "engine/file.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kSchema = 1;
constexpr const char* kModel = "model.safetensors";
constexpr const char* kTraining = "training.safetensors";
constexpr const char* kState = "state.json";
constexpr const char* kManifest = "manifest.json";
constexpr std::array kHashedFiles{kModel, kTraining, kState};

template <class... Args>
[[noreturn]] void damaged(const fs::path& path, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ExitCode::checkpoint, "{}: {}", path.string(),
              fmt::format(format, std::forward<Args>(args)...));
}

// XXH3-128 of a file's bytes, in hexadecimal.
std::string hash_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) damaged(path, "cannot open: {}", std::strerror(errno));
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  std::vector<char> block(1 << 20);
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    XXH3_128bits_update(state.get(), block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) damaged(path, "cannot read: {}", std::strerror(errno));
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state.get()));
  std::string hex;
  for (unsigned char byte : canonical.digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

void write_json(const fs::path& path, const json& value) {
  FileWriter file(path);
  file.write(value.dump(2) + "\n");
  file.commit();
}

json read_json(const fs::path& path) {
  try {
    return json::parse(read_whole_file(path, ExitCode::checkpoint));
  } catch (const json::exception& e) {
    damaged(path, "not JSON: {}", e.what());
  }
}

// Puts staged in folder's place; what was there goes.
void replace_folder(const fs::path& staged, const fs::path& folder) {
  if (fs::exists(folder)) {
    const int swapped = ::renameat2(AT_FDCWD, staged.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE);
    // Where the file system cannot swap, the old folder goes first.
    if (swapped != 0) fs::remove_all(folder);
  }
  if (!fs::exists(folder)) fs::rename(staged, folder);
  fs::remove_all(staged);
  sync_folder(folder.has_parent_path() ? folder.parent_path() : ".");
}

struct Step {
  std::int64_t number;
  fs::path folder;
};

// The folders named step_N below folder, newest first.
std::vector<Step> steps_in(const fs::path& folder) {
  std::vector<Step> steps;
  if (!fs::is_directory(folder)) return steps;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("step_") || !entry.is_directory()) continue;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) steps.push_back({number, entry.path()});
  }
  std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.number > b.number; });
  return steps;
}

}  // namespace

void save_checkpoint(const fs::path& folder, const CheckpointData& data) {
  const fs::path staged = folder.string() + ".tmp";
  try {
    fs::remove_all(staged);
    fs::create_directories(staged);
    write_safetensors(staged / kModel, data.model);
    write_safetensors(staged / kTraining, data.training);
    write_json(staged / kState, data.state);
    json hashes = json::object();
    for (const char* name : kHashedFiles) hashes[name] = hash_file(staged / name);
    write_json(staged / kManifest, {{"schema", kSchema}, {"xxh3_128", hashes}});
    replace_folder(staged, folder);
  } catch (const fs::filesystem_error& e) {
    throw Error(ExitCode::failure, "{}: cannot save the checkpoint: {}", folder.string(), e.what());
  }
}

CheckpointData load_checkpoint(const fs::path& folder) {
  const fs::path manifest_path = folder / kManifest;
  const json manifest = read_json(manifest_path);
  if (!manifest.is_object() || !manifest.contains("schema") || !manifest.contains("xxh3_128")) {
    damaged(manifest_path, "expected an object of schema and xxh3_128");
  }
  if (manifest["schema"] != kSchema) {
    damaged(manifest_path, "expected schema {}, got {}", kSchema, manifest["schema"].dump());
  }
  const json& hashes = manifest["xxh3_128"];
  for (const char* name : kHashedFiles) {
    const std::string hash = hash_file(folder / name);
    if (!hashes.is_object() || hashes.value(name, json()) != json(hash)) {
      damaged(folder / name, "its hash is {}, but {} has {}", hash, kManifest,
              hashes.is_object() ? hashes.value(name, json()).dump() : "none");
    }
  }
  return {read_safetensors(folder / kModel).tensors, read_safetensors(folder / kTraining).tensors,
          read_json(folder / kState)};
}

std::string model_hash(const fs::path& folder) {
  const json manifest = read_json(folder / kManifest);
  try {
    return manifest.at("xxh3_128").at(kModel).get<std::string>();
  } catch (const json::exception& e) {
    damaged(folder / kManifest, "expected the hash of {}: {}", kModel, e.what());
  }
}

std::optional<FoundCheckpoint> latest_checkpoint(const fs::path& folder, const CheckpointReport& report) {
  for (const Step& step : steps_in(folder)) {
    try {
      return FoundCheckpoint{step.folder, load_checkpoint(step.folder)};
    } catch (const Error& e) {
      if (e.code() != ExitCode::checkpoint) throw;
      report(fmt::format("passing over the checkpoint {}: {}", step.folder.string(), e.what()));
    }
  }
  return {};
}

void prune_checkpoints(const fs::path& folder, int keep) {
  expect(keep >= 1, "prune_checkpoints: expected to keep at least one, got {}", keep);
  const std::vector<Step> steps = steps_in(folder);
  for (std::size_t i = static_cast<std::size_t>(keep); i < steps.size(); ++i) {
    // A removal that is cut off must not leave half a checkpoint under a valid name.
    const fs::path aside = steps[i].folder.string() + ".tmp";
    fs::remove_all(aside);
    fs::rename(steps[i].folder, aside);
  }
  if (!fs::is_directory(folder)) return;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".tmp")) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove_all(path);
}

}  // namespace mg
