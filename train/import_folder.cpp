#include "train/import_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/checkpoint.h"
#include "engine/file.h"
#include "engine/sha256.h"

namespace mg {

namespace fs = std::filesystem;

ImportFolder::ImportFolder(const fs::path& folder) : folder_(folder) {
  const fs::path path = file(kCertificateFile);
  if (!fs::exists(path)) {
    throw Error(ExitCode::checkpoint,
                "{}: expected a folder that `mgconvert import` made, with {} in it: import the weights first",
                folder.string(), kCertificateFile);
  }
  const std::string text = read_whole_file(path, ExitCode::checkpoint);
  try {
    certificate_ = nlohmann::json::parse(text);
    for (const auto& [name, hash] : certificate_.at("files").items()) {
      if (fs::path(name).filename() != name) {
        throw Error(ExitCode::checkpoint, "{}: files: '{}': expected a name without a folder", path.string(),
                    name);
      }
      const std::string now = sha256_of_file(file(name), ExitCode::checkpoint);
      if (now != hash.get<std::string>()) {
        throw Error(ExitCode::checkpoint,
                    "{}: changed since it was imported: SHA-256 {}, the certificate has {}",
                    file(name).string(), now, hash.get<std::string>());
      }
    }
    const bool is_run = certificate_.at("kind").get<std::string>() == "authors";
    for (const char* name : {kWeightsFile, "config.toml"}) {
      if (is_run || certificate_["files"].contains(name)) continue;
      throw Error(ExitCode::checkpoint, "{}: files: expected the hash of {}", path.string(), name);
    }
  } catch (const nlohmann::json::exception& e) {
    throw Error(ExitCode::checkpoint, "{}: damaged: {}", path.string(), e.what());
  }
}

std::string ImportFolder::certificate_text() const { return certificate_.dump(2) + "\n"; }

std::string ImportFolder::kind() const { return certificate_.at("kind"); }

void ImportFolder::load_into(Module& module, const std::vector<std::string>& kinds) const {
  if (std::find(kinds.begin(), kinds.end(), kind()) == kinds.end()) {
    throw Error(ExitCode::checkpoint, "{}: expected weights of the kind {}, these are of a {}",
                folder_.string(), fmt::join(kinds, " or "), kind());
  }
  SafetensorsFile stored = read_safetensors(file(kWeightsFile));
  if (kind() == "r2plus1d") {  // the classes of its training are nobody's here
    stored.tensors.erase("fc.weight");
    stored.tensors.erase("fc.bias");
  }
  load_tensors(named_tensors(module), stored.tensors, folder_.string());
}

}  // namespace mg
