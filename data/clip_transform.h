// From the sampled frames of one clip to the numbers that a network sees.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/clip_loader.h"
#include "data/frames.h"

namespace mg {

class FrameResizer;

struct Crop {
  int top, left, height, width;
  friend bool operator==(const Crop&, const Crop&) = default;
};

// What is done to all frames of a clip alike.
struct Variation {
  Crop crop{};
  bool flip = false;
  float brightness = 1, contrast = 1;
};

// Of frames that are stored in this size, and perhaps resized before the crop. The augmentation is as the
// sample's draws say; without one: the centre crop, at torchvision's place (half a pixel goes to the even
// side).
Variation vary(const InputSpec& input, int stored_height, int stored_width);
Variation vary(const InputSpec& input, int stored_height, int stored_width, const Augmentation& augmentation,
               const RandomKey& key, std::uint32_t sample);

// One worker's. Buffers are kept from clip to clip.
class ClipTransform {
 public:
  explicit ClipTransform(const InputSpec& input);
  ~ClipTransform();
  // frames: input.frames of them. out: [T,H,W,3], dense.
  void apply(const Frames& frames, const Variation& variation, std::vector<float>& out);

 private:
  void view_frame(const Frames& frames, std::int64_t frame, const Variation& variation, float* out);
  // Values of 0 to 255: [H,W,3].
  template <class Elem>
  void crop(const Elem* frame, int frame_width, const Crop& crop, float* out) const;
  const float* resized(const Frames& frames, std::int64_t frame);
  void normalize(std::vector<float>& values) const;
  void to_motion(std::vector<float>& values);

  InputSpec input_;
  std::vector<float> row_scale_, row_shift_;  // of one row's values, for normalize
  std::vector<float> grey_;                   // [T][H * W]
  // With input_.resize_height: of frames of the size seen last.
  std::unique_ptr<FrameResizer> resizer_;
  int stored_height_ = 0, stored_width_ = 0;
  std::vector<float> resized_;  // one frame
};

}  // namespace mg
