// How long a video file says it is. Demuxers end quietly at the end of a file that was cut between two
// packets; the sizes that a container states show it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace mg {

// The bytes that the outermost boxes of an MP4, Matroska or AVI file promise; 0 where they promise nothing.
std::uint64_t promised_bytes(const std::filesystem::path& path);

}  // namespace mg
