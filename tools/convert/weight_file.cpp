#include "tools/convert/weight_file.h"

#include "engine/error.h"

namespace mg {

WeightFile read_weight_file(const std::filesystem::path& path) {
  SafetensorsFile file = read_safetensors(path);
  return {"safetensors", {path}, std::move(file.tensors), {}, std::move(file.metadata), {}};
}

}  // namespace mg
