// The folder that `mgconvert import` makes of one model from elsewhere:
//
//   model.safetensors   the tensors under the names that transformers, torchvision or the authors give them
//   config.toml         the configuration keys that the model decides, for `mgtrain train` to lie on a preset
//   config.json         transformers' description, of text encoders
//   vocab.txt           of text encoders
//   certificate.json    where it comes from: hashes of the source and of these files, what became of every
//                       tensor, and the outputs of a probe
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/module.h"

namespace mg {

inline constexpr const char* kCertificateFile = "certificate.json";
inline constexpr const char* kWeightsFile = "model.safetensors";

class ImportFolder {
 public:
  // Reads the certificate and checks the hash of every file that it names. Error(ExitCode::checkpoint) that
  // names the file: no certificate, damaged, a file missing or changed.
  explicit ImportFolder(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return folder_; }
  std::filesystem::path file(const std::string& name) const { return folder_ / name; }
  const nlohmann::json& certificate() const { return certificate_; }
  std::string certificate_text() const;
  std::string kind() const;  // r2plus1d, distilbert, bert, classifier

  // Copies the tensors into module. Error(ExitCode::checkpoint) for a model of another kind, and one that
  // lists what does not fit.
  void load_into(Module& module, const std::vector<std::string>& kinds) const;

 private:
  std::filesystem::path folder_;
  nlohmann::json certificate_;
};

}  // namespace mg
