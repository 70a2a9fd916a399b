// A page that plays a few clips of each label: the first look at a data set.
#pragma once

#include <filesystem>

#include "data/manifest.h"

namespace mg {

// Writes page, which plays the clips from where the manifest's files are. fps: of the videos; clips need a
// range of frames. The videos must be such as browsers play (H.264 in MP4).
void write_clip_gallery(const std::filesystem::path& page, const Manifest& manifest, double fps);

}  // namespace mg
