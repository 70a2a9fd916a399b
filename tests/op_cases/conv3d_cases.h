// The cases of the (2+1)D convolution, for its test, its gradient check and its benchmark.
#pragma once

#include <string>
#include <vector>

#include "kernels/conv3d.h"

namespace mg::test {

struct Conv3dCase {
  std::string name;
  Shape x;  // N T H W C
  std::int64_t outputs;
  Conv3dGeometry geometry;
  std::int64_t x_pitch = 0;  // 0: rounded up to kChannelAlign

  Shape y() const {
    return {x[0], geometry.output_extent(0, x[1]), geometry.output_extent(1, x[2]),
            geometry.output_extent(2, x[3]), outputs};
  }
  Shape w() const { return {outputs, x[4], geometry.kernel[0], geometry.kernel[1], geometry.kernel[2]}; }
  double flops() const {
    return 2.0 * static_cast<double>(y().count()) * static_cast<double>(w().count() / outputs);
  }
};

inline Conv3dGeometry spatial(int k, int stride) {
  return {{1, k, k}, {1, stride, stride}, {0, k / 2, k / 2}};
}
inline Conv3dGeometry temporal(int k, int stride) { return {{k, 1, 1}, {stride, 1, 1}, {k / 2, 0, 0}}; }

inline std::vector<Conv3dCase> conv3d_cases() {
  return {
      {"one of everything", {1, 1, 1, 1, 1}, 1, {}},
      {"stem, dense RGB", {2, 3, 17, 15, 3}, 45, spatial(7, 2), 3},
      {"stem, temporal", {1, 5, 7, 6, 45}, 64, temporal(3, 1)},
      {"spatial 3x3, 144 out", {1, 2, 9, 8, 64}, 144, spatial(3, 1)},
      {"temporal, 144 in", {2, 4, 5, 5, 144}, 64, temporal(3, 1)},
      {"spatial stride 2, 230 out", {1, 2, 11, 10, 64}, 230, spatial(3, 2)},
      {"temporal stride 2, 230 in", {1, 7, 4, 3, 230}, 32, temporal(3, 2)},
      {"projection 1x1x1 stride 2", {2, 5, 6, 7, 16}, 32, {{1, 1, 1}, {2, 2, 2}, {0, 0, 0}}},
      {"tile - 1 pixels and channels", {1, 1, 1, 13, 15}, 31, spatial(3, 1)},
      {"tile + 1 pixels and channels", {1, 1, 1, 15, 17}, 33, spatial(3, 1)},
      {"primes", {3, 5, 7, 11, 13}, 29, {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}}},
      {"unequal strides and paddings", {1, 6, 9, 8, 5}, 7, {{3, 5, 2}, {2, 3, 1}, {2, 0, 1}}},
      {"kernel larger than the input", {1, 2, 2, 2, 4}, 6, {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}}},
      {"dense odd pitch", {1, 2, 5, 5, 19}, 21, spatial(3, 1), 19},
      {"many pixels, one channel", {1, 4, 20, 20, 1}, 3, spatial(3, 1), 1},
      {"few pixels, many channels", {1, 1, 2, 2, 128}, 460, spatial(3, 1)},
      {"stride larger than the kernel", {1, 1, 9, 9, 8}, 8, {{1, 2, 2}, {1, 3, 3}, {0, 0, 0}}},
      {"three channels, pitched", {1, 3, 6, 7, 3}, 20, {{3, 3, 3}, {1, 2, 1}, {1, 1, 1}}},
      {"four channels, dense", {2, 2, 5, 9, 4}, 17, spatial(3, 1), 4},
      {"more strides than phases of a launch", {1, 7, 9, 5, 3}, 5, {{3, 4, 4}, {3, 4, 4}, {1, 2, 0}}},
      {"460 to 921, temporal stride 2", {1, 3, 2, 2, 460}, 921, temporal(3, 2)},
      {"1152 in", {1, 2, 2, 1, 1152}, 64, temporal(3, 1)},
      {"tile of 128 pixels", {1, 1, 8, 16, 16}, 64, spatial(3, 1)},
      {"tile of 128 pixels + 1", {1, 1, 3, 43, 16}, 65, temporal(1, 1)},
  };
}

}  // namespace mg::test
