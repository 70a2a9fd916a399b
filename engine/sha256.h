// SHA-256 of files, in hexadecimal: what sha256sum prints and model hubs publish.
#pragma once

#include <filesystem>
#include <string>

#include "engine/error.h"

namespace mg {

// Throws Error(code) with the path and the system's reason.
std::string sha256_of_file(const std::filesystem::path& path, ExitCode code = ExitCode::checkpoint);

}  // namespace mg
