#include "data/frames.h"

#include <cstring>

#include "engine/error.h"

namespace mg {

Frames select_frames(const Frames& all, const std::vector<std::int64_t>& numbers) {
  Frames chosen{static_cast<std::int64_t>(numbers.size()), all.height, all.width, all.fps, {}};
  chosen.rgb.resize(numbers.size() * all.frame_bytes());
  std::uint8_t* to = chosen.rgb.data();
  for (const std::int64_t number : numbers) {
    expect(number >= 0 && number < all.count, "frame {} of a clip with {} frames", number, all.count);
    std::memcpy(to, all.frame(number), all.frame_bytes());
    to += all.frame_bytes();
  }
  return chosen;
}

Frames FrameSource::read_frames(std::int64_t clip, const std::vector<std::int64_t>& numbers) const {
  return select_frames(read(clip), numbers);
}

Frames MemoryFrames::read_frames(std::int64_t clip, const std::vector<std::int64_t>& numbers) const {
  return select_frames(frames_.at(static_cast<std::size_t>(clip)), numbers);
}

}  // namespace mg
