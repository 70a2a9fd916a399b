#include "models/r2plus1d.h"

#include <algorithm>
#include <string>

namespace mg {

namespace {

// torchvision's rule: as many parameters as the 3x3x3 convolution that the pair stands for, rounded down.
std::int64_t middle_channels(std::int64_t inputs, std::int64_t outputs) {
  return inputs * outputs * 27 / (inputs * 9 + 3 * outputs);
}

// torchvision has 45 for a width of 64.
std::int64_t stem_middle(std::int64_t width) { return std::max<std::int64_t>(8, (45 * width + 32) / 64); }

Conv3dGeometry spatial(int extent, int stride) {
  return {
      .kernel = {1, extent, extent}, .stride = {1, stride, stride}, .padding = {0, extent / 2, extent / 2}};
}

Conv3dGeometry temporal(int stride) {
  return {.kernel = {3, 1, 1}, .stride = {stride, 1, 1}, .padding = {1, 0, 0}};
}

}  // namespace

SplitConv3d::SplitConv3d(std::int64_t inputs, std::int64_t middle, std::int64_t outputs, int stride)
    : spatial_(inputs, middle, spatial(3, stride)),
      norm_(middle),
      temporal_(middle, outputs, temporal(stride)) {
  add_child("0", spatial_);
  add_child("1", norm_);
  add_child("3", temporal_);
}

R2Plus1dBlock::R2Plus1dBlock(std::int64_t inputs, std::int64_t outputs, int stride)
    : conv1_(inputs, middle_channels(inputs, outputs), outputs, stride),
      norm1_(outputs),
      conv2_(outputs, middle_channels(inputs, outputs), outputs, 1),
      norm2_(outputs) {
  add_child("conv1.0", conv1_);
  add_child("conv1.1", norm1_);
  add_child("conv2.0", conv2_);
  add_child("conv2.1", norm2_);
  if (stride == 1 && inputs == outputs) return;
  downsample_conv_ = std::make_unique<Conv3d>(
      inputs, outputs,
      Conv3dGeometry{.kernel = {1, 1, 1}, .stride = {stride, stride, stride}, .padding = {0, 0, 0}});
  downsample_norm_ = std::make_unique<BatchNorm>(outputs);
  add_child("downsample.0", *downsample_conv_);
  add_child("downsample.1", *downsample_norm_);
}

Value R2Plus1dBlock::forward(Context& ctx, const Value& x) {
  Value residual = x;
  if (downsample_conv_) residual = downsample_norm_->forward(ctx, *downsample_conv_, x);
  const Value middle = norm1_.forward(ctx, conv1_.second(), conv1_.first(ctx, x), true);
  return norm2_.forward(ctx, conv2_.second(), conv2_.first(ctx, middle), true, residual);
}

R2Plus1d::R2Plus1d(const R2Plus1dConfig& config)
    : channels_(config.width << 3),
      stem_spatial_(config.in_channels, stem_middle(config.width), spatial(7, 2)),
      stem_norm1_(stem_middle(config.width)),
      stem_temporal_(stem_middle(config.width), config.width, temporal(1)),
      stem_norm2_(config.width),
      blocks_of_layer_(config.blocks) {
  add_child("stem.0", stem_spatial_);
  add_child("stem.1", stem_norm1_);
  add_child("stem.3", stem_temporal_);
  add_child("stem.4", stem_norm2_);
  std::int64_t inputs = config.width;
  for (std::size_t layer = 0; layer < config.blocks.size(); ++layer) {
    const std::int64_t outputs = config.width << layer;
    for (int b = 0; b < config.blocks[layer]; ++b) {
      blocks_.push_back(std::make_unique<R2Plus1dBlock>(inputs, outputs, layer > 0 && b == 0 ? 2 : 1));
      add_child("layer" + std::to_string(layer + 1) + "." + std::to_string(b), *blocks_.back());
      inputs = outputs;
    }
  }
  if (config.classes == 0) return;
  fc_ = std::make_unique<Linear>(channels_, config.classes);
  add_child("fc", *fc_);
}

namespace {

struct Extent {
  std::int64_t frames, height, width;
  std::int64_t positions() const { return frames * height * width; }
};

// The multiply-adds of a split convolution; extent becomes its output's.
std::int64_t split_macs(Extent& extent, std::int64_t inputs, std::int64_t middle, std::int64_t outputs,
                        int stride) {
  const auto strided = [stride](std::int64_t n) { return (n + stride - 1) / stride; };
  extent.height = strided(extent.height);
  extent.width = strided(extent.width);
  const std::int64_t spatial_macs = extent.positions() * inputs * middle * 9;
  extent.frames = strided(extent.frames);
  return spatial_macs + extent.positions() * middle * outputs * 3;
}

}  // namespace

std::int64_t multiply_adds(const R2Plus1dConfig& config, std::int64_t frames, std::int64_t height,
                           std::int64_t width) {
  const std::int64_t middle = stem_middle(config.width);
  Extent extent{frames, (height + 1) / 2, (width + 1) / 2};
  std::int64_t macs = extent.positions() * middle * (49 * config.in_channels + 3 * config.width);
  std::int64_t inputs = config.width;
  for (std::size_t layer = 0; layer < config.blocks.size(); ++layer) {
    const std::int64_t outputs = config.width << layer;
    for (int b = 0; b < config.blocks[layer]; ++b) {
      const int stride = layer > 0 && b == 0 ? 2 : 1;
      const std::int64_t mid = middle_channels(inputs, outputs);
      macs += split_macs(extent, inputs, mid, outputs, stride);
      if (stride != 1 || inputs != outputs) macs += extent.positions() * inputs * outputs;
      macs += split_macs(extent, outputs, mid, outputs, 1);
      inputs = outputs;
    }
  }
  return macs;
}

Value R2Plus1d::forward(Context& ctx, const Value& frames, std::vector<Value>* stages) {
  Value x = stem_norm1_.forward(ctx, stem_spatial_, frames, true);
  x = stem_norm2_.forward(ctx, stem_temporal_, x, true);
  if (stages != nullptr) stages->push_back(x);
  auto block = blocks_.begin();
  for (int count : blocks_of_layer_) {
    for (int b = 0; b < count; ++b) x = (*block++)->forward(ctx, x);
    if (stages != nullptr) stages->push_back(x);
  }
  return x;
}

Value R2Plus1d::logits(Context& ctx, const Value& features) {
  expect(fc_ != nullptr, "R2Plus1d: logits were asked of a network without a classifier");
  return fc_->forward(ctx, global_average_pool(ctx, features));
}

}  // namespace mg
