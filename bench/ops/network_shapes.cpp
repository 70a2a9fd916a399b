#include "bench/ops/network_shapes.h"

#include <fmt/core.h>

#include <algorithm>

namespace mg {

namespace {

// Pairs of an output and a tap along an axis that meet an input pixel.
std::int64_t pairs_along(const Conv3dGeometry& g, int axis, std::int64_t input) {
  const auto a = static_cast<std::size_t>(axis);
  std::int64_t pairs = 0;
  for (std::int64_t out = 0; out < g.output_extent(axis, input); ++out) {
    for (int tap = 0; tap < g.kernel[a]; ++tap) {
      const std::int64_t in = out * g.stride[a] + tap - g.padding[a];
      if (in >= 0 && in < input) ++pairs;
    }
  }
  return pairs;
}

// The extents that a batch has at a place in the network.
struct Place {
  std::int64_t batch, channels, frames, side;
  Shape shape() const { return {batch, frames, side, side, channels}; }
};

Conv3dGeometry spatial(int extent, int stride) {
  return {
      .kernel = {1, extent, extent}, .stride = {1, stride, stride}, .padding = {0, extent / 2, extent / 2}};
}
Conv3dGeometry temporal(int stride) {
  return {.kernel = {3, 1, 1}, .stride = {stride, 1, 1}, .padding = {1, 0, 0}};
}

// As many parameters as the 3x3x3 convolution that a pair stands for, rounded down: models/r2plus1d.cpp.
std::int64_t middle_channels(std::int64_t inputs, std::int64_t outputs) {
  return inputs * outputs * 27 / (inputs * 9 + 3 * outputs);
}

void add_pair(std::vector<ConvLayer>& layers, const std::string& name, const Place& in, std::int64_t outputs,
              int stride, int uses) {
  const std::int64_t middle = middle_channels(in.channels, outputs);
  const Place between{in.batch, middle, in.frames, in.side / stride};
  layers.push_back({name + "s", in.shape(), middle, spatial(3, stride), uses});
  layers.push_back({name + "t", between.shape(), outputs, temporal(stride), uses, stride == 1});
}

}  // namespace

Shape ConvLayer::y() const {
  return {x[0], geometry.output_extent(0, x[1]), geometry.output_extent(1, x[2]),
          geometry.output_extent(2, x[3]), outputs};
}
Shape ConvLayer::w() const {
  return {outputs, x[4], geometry.kernel[0], geometry.kernel[1], geometry.kernel[2]};
}
double ConvLayer::flops() const {
  double products = static_cast<double>(x[0] * x[4] * outputs);
  for (int axis = 0; axis < 3; ++axis)
    products *= static_cast<double>(pairs_along(geometry, axis, x[axis + 1]));
  return 2 * products;
}

std::vector<ConvLayer> r2plus1d_layers(std::int64_t batch, std::int64_t width, ClipExtent clip) {
  const std::int64_t stem_middle = (45 * width + 32) / 64;
  std::vector<ConvLayer> layers{
      {"stem.s", {batch, clip.frames, clip.side, clip.side, 3}, stem_middle, spatial(7, 2)},
      {"stem.t", {batch, clip.frames, clip.side / 2, clip.side / 2, stem_middle}, width, temporal(1)}};
  Place in{batch, width, clip.frames, clip.side / 2};
  add_pair(layers, "l1.", in, width, 1, 4);
  for (int layer = 2; layer <= 4; ++layer) {
    const std::string name = fmt::format("l{}.", layer);
    const Place out{batch, in.channels * 2, in.frames / 2, in.side / 2};
    add_pair(layers, name + "0.c1", in, out.channels, 2, 1);
    // torchvision's second pair has the middle channels of the first: they follow from inputs and outputs of
    // the block.
    const std::int64_t middle = middle_channels(in.channels, out.channels);
    layers.push_back({name + "0.c2s", out.shape(), middle, spatial(3, 1)});
    layers.push_back({name + "0.c2t", Place{batch, middle, out.frames, out.side}.shape(), out.channels,
                      temporal(1), 1, true});
    layers.push_back({name + "0.down", in.shape(), out.channels,
                      Conv3dGeometry{.kernel = {1, 1, 1}, .stride = {2, 2, 2}, .padding = {0, 0, 0}}});
    add_pair(layers, name, out, out.channels, 1, 2);
    in = out;
  }
  return layers;
}

std::vector<ConvLayer> few_pixels(std::vector<ConvLayer> layers) {
  for (ConvLayer& layer : layers) {
    layer.x[0] = 1;
    layer.x[1] = std::min<std::int64_t>(layer.x[1], layer.x[4] > 100 ? 2 : 3);
    for (int axis : {2, 3}) layer.x[axis] = std::min<std::int64_t>(layer.x[axis], 14);
  }
  return layers;
}

std::string extents(const Shape& y) {
  return y[0] > 1 ? fmt::format("{}x{}x{}x{}", y[0], y[1], y[2], y[3])
                  : fmt::format("{}x{}x{}", y[1], y[2], y[3]);
}

}  // namespace mg
