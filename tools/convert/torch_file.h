// What torch.save wrote: a zip archive (since PyTorch 1.6) of storages and of a pickle that says what they
// are.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "tools/convert/state_dict.h"

namespace mg {

// The file's state dict (see state_dict.h for which that is). Nothing of the file is executed. Throws
// Error(ExitCode::checkpoint) with the file, the entry and the byte or the key.
StateDict read_torch_file(const std::filesystem::path& path);

// The same from memory; name stands for the path in messages.
StateDict read_torch_file(std::span<const char> bytes, const std::string& name);

}  // namespace mg
