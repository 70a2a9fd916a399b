// SHA-256 of files: what provenance is recorded by.
#pragma once

#include <filesystem>
#include <string>

#include "engine/error.h"

namespace mg {

// In lower-case hexadecimal. Throws Error(code) with the path and the system's reason.
std::string sha256_of_file(const std::filesystem::path& path, ExitCode code);

}  // namespace mg
