// The HDF5 part of a frame cache as bytes in memory. The library does not survive a write that fails (it
// crashes when it closes the file), so it never sees the disk: its driver is ours, pixels have their place
// already, and what it writes about them is handed out as two blocks. Everything of HDF5 is behind this
// header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/cache_file.h"

namespace mg {

struct Hdf5Image {
  std::string front;  // the first bytes of the file, of the size asked for
  std::string rest;   // what follows the pixels
};

// A file whose first front_bytes are front, then come the pixels of the entries, each at its offset, and at
// rest_begin the rest. Throws Error(ExitCode::failure) with HDF5's reason.
Hdf5Image hdf5_image(const std::string& decode, const std::vector<CacheEntry>& entries,
                     std::size_t front_bytes, std::uint64_t rest_begin);

}  // namespace mg
