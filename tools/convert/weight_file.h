// A weight file of whatever format, read whole.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/safetensors.h"

namespace mg {

struct WeightFile {
  std::string format;  // "safetensors", "safetensors (sharded)", "PyTorch zip", "PyTorch zip (sharded)"
  std::vector<std::filesystem::path> files;         // what was read: the index and every shard
  TensorMap tensors;                                // dense, on the heap; F16, BF16 and F64 became f32
  std::map<std::string, std::string> stored_types;  // every tensor's type as the file has it: "F16"
  std::map<std::string, std::string> metadata;
  std::vector<std::string> left_out;    // what in the file is no tensor: "optimizer: a dict, no tensor"
  std::vector<std::string> notes = {};  // other weights of the folder, which were not read
};

// Known by content, not by ending: a safetensors file, the index of a sharded model
// (model.safetensors.index.json, pytorch_model.bin.index.json), or a PyTorch zip (.pth, .pt, .bin), whose
// pickle is read as data. A folder stands for the first of model.safetensors, its index, pytorch_model.bin
// and its index that it holds: the others are copies of the same weights by Hugging Face's custom, and are
// noted. What is wrong is an Error(ExitCode::checkpoint) that names the file, the place in it, what was
// expected and what came.
WeightFile read_weight_file(const std::filesystem::path& path);

}  // namespace mg
