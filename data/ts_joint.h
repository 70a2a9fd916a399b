// Where one MPEG transport stream ends in a file and the next one begins.
#pragma once

#include <cstdint>
#include <string>

namespace mg {

// Whether the packet of a stream at this byte is the first of its stream after a joint: tables of programs
// (PAT) stand between it and the stream's packet before, and the counter of a table does not go on there as
// it does within a stream. A packet that was lost leaves the tables' counters as they were.
bool follows_joint(const std::string& file, std::int64_t position);

}  // namespace mg
