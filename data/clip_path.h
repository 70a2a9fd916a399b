// Finding the file that a manifest names.
#pragma once

#include <filesystem>
#include <string>

namespace mg {

// The path of a clip, from the folder of the manifest. As it is written, if that is there; else the first of
// these that is: without blanks at its ends, with its accents composed or decomposed (macOS stores them so),
// and each with / for Windows' \. Where none is there, as it is written without blanks at its ends.
std::filesystem::path find_clip(const std::filesystem::path& folder, const std::string& written);

}  // namespace mg
