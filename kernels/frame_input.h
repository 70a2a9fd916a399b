// From stored frames to a network's input in one pass: crop, bilinear resampling to the input's size,
// mirroring, brightness and contrast, normalisation.
#pragma once

#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

// How one sample is seen. The crop is resampled when its size is not the output's: each output pixel between
// the two by two pixels about its place, pixel centres at half numbers, clamped to the crop; nothing is
// smoothed where the crop is the larger (data/frame_resize.h, bilinear). value = clamp(value * brightness, 0,
// 255), then clamp(value * contrast + (1 - contrast) * mean of the sample's values, 0, 255), then mirrored if
// flip.
struct FrameView {
  std::int32_t top, left, height, width;
  std::int32_t flip;
  float brightness, contrast;
};

struct FrameInput {
  View y;                    // [N, T, H, W, 3]; padding written as zero
  ConstView frames;          // u8 [N, T, stored height, stored width, 3], dense
  const FrameView* views;    // [N], in the stream's memory
  bool any_contrast;         // whether a view's contrast is not 1
  float scale[3], shift[3];  // y = value * scale[c] + shift[c], values of 0 to 255
};

void frame_input(const FrameInput&, CudaStream&);

}  // namespace mg
