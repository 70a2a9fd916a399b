// Decoded frames, and where they come from.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace mg {

// RGB, 8 bits a channel, [count][height][width][3].
struct Frames {
  std::int64_t count = 0;
  int height = 0, width = 0;
  double fps = 0;  // frames a second of these frames (a mean where the rate varies)
  std::vector<std::uint8_t> rgb;

  std::size_t frame_bytes() const { return static_cast<std::size_t>(height) * width * 3; }
  const std::uint8_t* frame(std::int64_t i) const {
    return rgb.data() + static_cast<std::size_t>(i) * frame_bytes();
  }
};

// The frames of all with these numbers. Throws Error(ExitCode::failure) for a number that is not there.
Frames select_frames(const Frames& all, const std::vector<std::int64_t>& numbers);

// Numbered clips that can be read from several threads at once.
class FrameSource {
 public:
  virtual ~FrameSource() = default;
  virtual std::int64_t clips() const = 0;
  // All frames of the clip, at least one.
  virtual Frames read(std::int64_t clip) const = 0;
  virtual std::int64_t frame_count(std::int64_t clip) const { return read(clip).count; }
  // Whether the frames of all clips are of one size.
  virtual bool uniform() const { return false; }
  // The frames with these numbers, which may repeat. Here by way of read(); sources that can, read no more
  // than is asked for.
  virtual Frames read_frames(std::int64_t clip, const std::vector<std::int64_t>& numbers) const;
};

// Clips held in memory.
class MemoryFrames : public FrameSource {
 public:
  explicit MemoryFrames(std::vector<Frames> all) : frames_(std::move(all)) {}
  std::int64_t clips() const override { return static_cast<std::int64_t>(frames_.size()); }
  Frames read(std::int64_t clip) const override { return frames_.at(static_cast<std::size_t>(clip)); }
  std::int64_t frame_count(std::int64_t clip) const override {
    return frames_.at(static_cast<std::size_t>(clip)).count;
  }
  Frames read_frames(std::int64_t clip, const std::vector<std::int64_t>& numbers) const override;

 private:
  std::vector<Frames> frames_;
};

}  // namespace mg
