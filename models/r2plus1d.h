// R(2+1)D (Tran et al., CVPR 2018): a residual network whose 3D convolutions are split into a spatial (1,3,3)
// and a temporal (3,1,1) one with BatchNorm and ReLU between. Topology and names are those of torchvision's
// r2plus1d_18; the width and the number of blocks may differ.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "engine/layers.h"

namespace mg {

struct R2Plus1dConfig {
  std::int64_t in_channels = 3;
  std::int64_t width = 64;  // channels of the stem and of layer1; each further layer has twice as many
  std::array<int, 4> blocks{2, 2, 2, 2};
  std::int64_t classes = 0;  // of the pretraining's classifier fc; 0: without
};

// A split convolution: spatial, BatchNorm, ReLU, temporal. Names 0, 1, 3.
class SplitConv3d : public Module {
 public:
  SplitConv3d(std::int64_t inputs, std::int64_t middle, std::int64_t outputs, int stride);
  // The spatial half with its norm and ReLU.
  Value first(Context& ctx, const Value& x) { return norm_.forward(ctx, spatial_, x, true); }
  // The temporal half, for the norm that follows the pair.
  Conv3d& second() { return temporal_; }

 private:
  Conv3d spatial_;
  BatchNorm norm_;
  Conv3d temporal_;
};

class R2Plus1dBlock : public Module {
 public:
  R2Plus1dBlock(std::int64_t inputs, std::int64_t outputs, int stride);
  Value forward(Context& ctx, const Value& x);

 private:
  SplitConv3d conv1_;
  BatchNorm norm1_;
  SplitConv3d conv2_;
  BatchNorm norm2_;
  std::unique_ptr<Conv3d> downsample_conv_;  // where the shape changes
  std::unique_ptr<BatchNorm> downsample_norm_;
};

// Multiply-adds of one forward pass over a clip: the convolutions' (padding counted as input).
std::int64_t multiply_adds(const R2Plus1dConfig& config, std::int64_t frames, std::int64_t height,
                           std::int64_t width);

class R2Plus1d : public Module {
 public:
  explicit R2Plus1d(const R2Plus1dConfig& config);
  // Normalised frames [N,T,H,W,in_channels] -> layer4's features [N,T/8,H/16,W/16,channels()], extents
  // rounded up. stages, if given, gets the outputs of the stem and of each layer.
  Value forward(Context& ctx, const Value& frames, std::vector<Value>* stages = nullptr);
  // layer4's features -> [N, classes]. An Error where there is no classifier.
  Value logits(Context& ctx, const Value& features);
  std::int64_t channels() const { return channels_; }

 private:
  std::int64_t channels_;
  Conv3d stem_spatial_;
  BatchNorm stem_norm1_;
  Conv3d stem_temporal_;
  BatchNorm stem_norm2_;
  std::vector<std::unique_ptr<R2Plus1dBlock>> blocks_;
  std::array<int, 4> blocks_of_layer_;
  std::unique_ptr<Linear> fc_;
};

}  // namespace mg
