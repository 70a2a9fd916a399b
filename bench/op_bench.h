// Times the convolutions of R(2+1)D-18 and the linear layers of DistilBERT, in the shapes they have in
// training, in every direction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/clock.h"
#include "kernels/conv3d.h"
#include "kernels/stream.h"

namespace mg {

struct ConvCase {
  std::string name;  // as in performance tables: l2.s is layer 2's spatial convolution, l2.0.c1s its first
  Shape x;           // [N, T, H, W, C]
  std::int64_t outputs = 0;
  Conv3dGeometry geometry;
  int uses = 1;  // how often the network has it
};
// One clip of 16 frames of 112 x 112. A width of 64 is R(2+1)D-18 (Tran et al., CVPR 2018), 16 is `mini`.
std::vector<ConvCase> r2plus1d_cases(std::int64_t width);

struct LinearCase {
  std::string name;
  std::int64_t rows = 0, inputs = 0, outputs = 0;
  int uses = 1;
};
// A batch of 32 captions of 16 tokens.
std::vector<LinearCase> distilbert_cases();

// Floating-point operations that a result needs: products with padding, of pixels or of channels, do not
// count.
double needed_flops(const ConvCase& test);

struct Timing {
  std::string direction;
  double flops = 0;  // needed ones
  double median_ms = 0, best_ms = 0;
  int runs = 0;
};
struct Row {
  std::string name, shape;
  int uses = 1;
  std::vector<Timing> timings;  // forward, backward-data, backward-weight
};
// Each direction runs for at least so many seconds, and 7 times, after a first run that is not counted.
struct Effort {
  double seconds = 0.2;
  BenchClock clock = BenchClock::wall;
};
Row run_case(const ConvCase& test, CpuStream& stream, const Effort& effort);
Row run_case(const LinearCase& test, CpuStream& stream, const Effort& effort);

}  // namespace mg
