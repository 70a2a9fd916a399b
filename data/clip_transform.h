// From the sampled frames of one clip to the numbers that a network sees.
#pragma once

#include <cstdint>
#include <vector>

#include "data/clip_loader.h"
#include "data/frames.h"

namespace mg {

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

// Augmentation and random crop as the sample's draws say. Without augment: the centre crop.
Variation vary(const InputSpec& input, int stored_height, int stored_width);
Variation vary(const InputSpec& input, int stored_height, int stored_width, const Augmentation& augmentation,
               const RandomKey& key, std::uint32_t sample);

// One worker's. Buffers are kept from clip to clip.
class ClipTransform {
 public:
  explicit ClipTransform(const InputSpec& input);
  // frames: input.frames of them. out: [T,H,W,3], dense.
  void apply(const Frames& frames, const Variation& variation, std::vector<float>& out);

 private:
  void crop_frame(const Frames& frames, std::int64_t frame, const Variation& variation, float* out) const;
  void normalize(std::vector<float>& values) const;
  void to_motion(std::vector<float>& values);

  InputSpec input_;
  std::vector<float> row_scale_, row_shift_;  // of one row's values, for normalize
  std::vector<float> grey_;                   // [T][H * W]
};

}  // namespace mg
