// The shapes of R(2+1)D-18 (Tran et al., CVPR 2018): torchvision's r2plus1d_18.
#pragma once

#include <string>
#include <vector>

#include "bench/bench.h"
#include "kernels/conv3d.h"

namespace mg {

struct ConvLayer {
  std::string name;  // as in performance tables: l2.s is layer 2's spatial convolution, l2.0.c1s its first
  Shape x;           // [N, T, H, W, C]
  std::int64_t outputs = 0;
  Conv3dGeometry geometry;
  int uses = 1;           // how often the network has it
  bool residual = false;  // its BatchNorm adds the block's input

  Shape y() const;
  Shape w() const;
  // Floating-point operations that a result needs: products with padding, of pixels or of channels, do not
  // count.
  double flops() const;
};

// width: channels of the first layer; 64 is R(2+1)D-18, 16 is `mini`.
std::vector<ConvLayer> r2plus1d_layers(std::int64_t batch, std::int64_t width, ClipExtent clip = {});
// The same with few pixels, for what is counted and not timed.
std::vector<ConvLayer> few_pixels(std::vector<ConvLayer> layers);

std::string extents(const Shape& y);  // "16x56x56"

}  // namespace mg
