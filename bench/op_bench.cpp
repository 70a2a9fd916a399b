#include "bench/op_bench.h"

#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "engine/tensor.h"
#include "kernels/linear.h"

namespace mg {

namespace {

constexpr int kLeastRuns = 7;

Tensor random_tensor(Shape shape, Layout layout) {
  Tensor t(heap_allocator(), shape, layout);
  std::minstd_rand random(7);
  std::uniform_real_distribution<float> values(-1, 1);
  for (std::int64_t row = 0; row < t.rows(); ++row) {
    for (std::int64_t c = 0; c < t.channels(); ++c) t.f32()[row * t.pitch() + c] = values(random);
  }
  return t;
}

class Timer {
 public:
  Timer(const Effort& effort, double flops) : effort_(effort), flops_(flops) {}

  template <class Work>
  Timing operator()(const char* direction, const Work& work) const {
    work();
    std::vector<double> times;
    const double first = now(BenchClock::wall);
    while (times.size() < kLeastRuns || now(BenchClock::wall) - first < effort_.seconds) {
      const double begin = now(effort_.clock);
      work();
      times.push_back(1e3 * (now(effort_.clock) - begin));
    }
    std::sort(times.begin(), times.end());
    return {direction, flops_, times[times.size() / 2], times[0], static_cast<int>(times.size())};
  }

 private:
  Effort effort_;
  double flops_;
};

Shape output_shape(const ConvCase& test) {
  const Conv3dGeometry& g = test.geometry;
  return {test.x[0], g.output_extent(0, test.x[1]), g.output_extent(1, test.x[2]),
          g.output_extent(2, test.x[3]), test.outputs};
}

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

// The extents that a clip has at a place in the network.
struct Place {
  std::int64_t channels, frames, side;
  Shape shape() const { return {1, frames, side, side, channels}; }
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

void add_pair(std::vector<ConvCase>& cases, const std::string& name, const Place& in, std::int64_t outputs,
              int stride, int uses) {
  const std::int64_t middle = middle_channels(in.channels, outputs);
  const Place between{middle, in.frames, in.side / stride};
  cases.push_back({name + "s", in.shape(), middle, spatial(3, stride), uses});
  cases.push_back({name + "t", between.shape(), outputs, temporal(stride), uses});
}

std::string pixels(const Shape& y) { return fmt::format("{}x{}x{}", y[1], y[2], y[3]); }

}  // namespace

std::vector<ConvCase> r2plus1d_cases(std::int64_t width) {
  const std::int64_t stem_middle = (45 * width + 32) / 64;
  std::vector<ConvCase> cases{{"stem.s", {1, 16, 112, 112, 3}, stem_middle, spatial(7, 2), 1},
                              {"stem.t", {1, 16, 56, 56, stem_middle}, width, temporal(1), 1}};
  Place in{width, 16, 56};
  add_pair(cases, "l1.", in, width, 1, 4);
  for (int layer = 2; layer <= 4; ++layer) {
    const std::string name = fmt::format("l{}.", layer);
    const Place out{in.channels * 2, in.frames / 2, in.side / 2};
    add_pair(cases, name + "0.c1", in, out.channels, 2, 1);
    // torchvision's second pair has the middle channels of the first: they follow from inputs and outputs of
    // the block.
    const std::int64_t middle = middle_channels(in.channels, out.channels);
    cases.push_back({name + "0.c2s", out.shape(), middle, spatial(3, 1), 1});
    cases.push_back(
        {name + "0.c2t", Place{middle, out.frames, out.side}.shape(), out.channels, temporal(1), 1});
    cases.push_back({name + "0.down", in.shape(), out.channels,
                     Conv3dGeometry{.kernel = {1, 1, 1}, .stride = {2, 2, 2}, .padding = {0, 0, 0}}, 1});
    add_pair(cases, name, out, out.channels, 1, 2);
    in = out;
  }
  return cases;
}

std::vector<LinearCase> distilbert_cases() {
  return {{"attention", 512, 768, 768, 24}, {"ffn.1", 512, 768, 3072, 6}, {"ffn.2", 512, 3072, 768, 6}};
}

double needed_flops(const ConvCase& test) {
  double products = static_cast<double>(test.x[0] * test.x[4] * test.outputs);
  for (int axis = 0; axis < 3; ++axis)
    products *= static_cast<double>(pairs_along(test.geometry, axis, test.x[axis + 1]));
  return 2 * products;
}

Row run_case(const ConvCase& test, CpuStream& stream, const Effort& effort) {
  const Conv3dGeometry& g = test.geometry;
  const Shape y_shape = output_shape(test);
  const Tensor x = random_tensor(test.x, Layout::pitched), dy = random_tensor(y_shape, Layout::pitched);
  const Tensor w =
      random_tensor({test.outputs, test.x[4], g.kernel[0], g.kernel[1], g.kernel[2]}, Layout::dense);
  Tensor y(heap_allocator(), y_shape), dx(heap_allocator(), test.x),
      dw(heap_allocator(), w.shape(), Layout::dense);
  const Timer timed(effort, needed_flops(test));
  Row row{
      test.name, fmt::format("{:>4} {:>4} {:>8}", test.x[4], test.outputs, pixels(y_shape)), test.uses, {}};
  row.timings.push_back(timed("forward", [&] {
    conv3d_forward({.y = y.view(), .x = x.view(), .w = w.view(), .geometry = g, .input = {}, .epilogue = {}},
                   stream);
  }));
  row.timings.push_back(timed("backward-data", [&] {
    conv3d_backward_data({dx.view(), dy.view(), w.view(), g}, stream);
  }));
  row.timings.push_back(timed("backward-weight", [&] {
    conv3d_backward_weight({dw.view(), x.view(), dy.view(), g}, stream);
  }));
  return row;
}

Row run_case(const LinearCase& test, CpuStream& stream, const Effort& effort) {
  const Tensor x = random_tensor({test.rows, test.inputs}, Layout::pitched);
  const Tensor dy = random_tensor({test.rows, test.outputs}, Layout::pitched);
  const Tensor w = random_tensor({test.outputs, test.inputs}, Layout::dense);
  Tensor y(heap_allocator(), dy.shape()), dx(heap_allocator(), x.shape());
  Tensor dw(heap_allocator(), w.shape(), Layout::dense);
  const Timer timed(effort, 2 * static_cast<double>(test.rows * test.inputs * test.outputs));
  Row row{test.name, fmt::format("{:>4} {:>4} {:>8}", test.inputs, test.outputs, test.rows), test.uses, {}};
  row.timings.push_back(timed("forward", [&] {
    linear_forward({.y = y.view(), .x = x.view(), .w = w.view(), .epilogue = {}, .pre_activation = {}},
                   stream);
  }));
  row.timings.push_back(timed("backward-data", [&] {
    linear_backward_data({dx.view(), dy.view(), w.view()}, stream);
  }));
  row.timings.push_back(timed("backward-weight", [&] {
    linear_backward_weight({.dw = dw.view(), .dbias = {}, .x = x.view(), .dy = dy.view()}, stream);
  }));
  return row;
}

}  // namespace mg
