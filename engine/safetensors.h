// The safetensors format: 8 bytes of little-endian header length, a JSON header, then the tensors' bytes,
// C order, little-endian, without holes or overlaps (github.com/huggingface/safetensors, "Format").
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <map>
#include <string>

#include "engine/tensor.h"

namespace mg {

// Tensors by full name. Copying a map shares the tensors' storage.
using TensorMap = std::map<std::string, Tensor>;

struct SafetensorsFile {
  TensorMap tensors;                                // dense, on the heap
  std::map<std::string, std::string> metadata;      // the header's __metadata__
  std::map<std::string, std::string> stored_types;  // each tensor's element type as the file has it: "BF16"
};

// F32, I64, I32 and U8 are read as they are; the others of engine/stored_type.h are converted. A file that is
// truncated, has holes or overlaps, duplicate keys, other element types, more than five dimensions or a
// header above 100 MB is an Error(ExitCode::checkpoint) that names the file and the key.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

// The same from a stream of size bytes at its beginning; name stands for the path in messages.
SafetensorsFile read_safetensors(std::istream& file, std::uint64_t size, const std::string& name);

// Writes aside, syncs and renames. Equal tensors and metadata make equal files. Pitched tensors are written
// without their padding. Throws Error(ExitCode::failure) with the system's reason.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace mg
