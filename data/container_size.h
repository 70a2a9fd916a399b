// How long a video file says it is. Demuxers end quietly at the end of a file that was cut between two
// packets; the sizes that a container states show it.
#pragma once

#include <cstdint>
#include <filesystem>

namespace mg {

// The bytes that the outermost parts of an MP4, Matroska, AVI, ASF, FLV, MXF, Ogg or GIF file promise; 0
// where they promise nothing, as those of a file that was written to a pipe.
std::uint64_t promised_bytes(const std::filesystem::path& path);

}  // namespace mg
