#include "kernels/cuda/gather.cuh"

#include <algorithm>
#include <limits>
#include <vector>

namespace mg::cuda {

namespace {

void expect_indexable(std::int64_t pixels, const char* what) {
  if (pixels <= std::numeric_limits<int>::max() / 2) return;
  throw CudaError(CudaError::Kind::failed, std::string(what) + ": more than 2^30 pixels or rows in one call");
}

void set_extents(Gather& g, const Shape& source, const Shape& destination, const Conv3dGeometry& geometry) {
  expect_indexable(source.rows(), "convolution");
  expect_indexable(destination.rows(), "convolution");
  if (geometry.kernel[0] + geometry.kernel[1] + geometry.kernel[2] > kMaxTapBits) {
    throw CudaError(CudaError::Kind::failed, "convolution: the kernel's extents sum up to more than " +
                                                 std::to_string(kMaxTapBits) +
                                                 ", which the CUDA kernels do not take");
  }
  for (int a = 0; a < 3; ++a) {
    g.source[a] = static_cast<int>(source[a + 1]);
    g.destination[a] = static_cast<int>(destination[a + 1]);
  }
}

void set_points(Phase& p, std::int64_t n) {
  p.rows = static_cast<int>(n * p.points[0] * p.points[1] * p.points[2]);
  for (int a = 0; a < 3; ++a)
    p.by_points[a] = FastDivide(static_cast<std::uint32_t>(std::max(1, p.points[a])));
}

// Input coordinate i = first + stride * point meets output coordinate (i + padding - k) / stride for the
// kernel's coordinates k = residue + stride * m. Taps count m down, so that the output coordinate grows with
// the tap.
void set_axis(Phase& p, int a, int residue, int extent, int kernel, int stride, int padding) {
  const int first = ((residue - padding) % stride + stride) % stride;
  const int taps = kernel > residue ? ceil_div(kernel - residue, stride) : 0;
  p.first[a] = first;
  p.points[a] = extent > first ? ceil_div(extent - first, stride) : 0;
  p.taps[a] = taps;
  p.shift[a] = (first + padding - residue) / stride - (taps - 1);
}

Phase backward_phase(const Shape& x, const Conv3dGeometry& g, int index) {
  Phase p;
  const int residue[3] = {index / (g.stride[1] * g.stride[2]), index / g.stride[2] % g.stride[1],
                          index % g.stride[2]};
  const int tap_step[3] = {g.kernel[1] * g.kernel[2], g.kernel[2], 1};
  for (int a = 0; a < 3; ++a) {
    set_axis(p, a, residue[a], static_cast<int>(x[a + 1]), g.kernel[a], g.stride[a], g.padding[a]);
    p.weight += (residue[a] + g.stride[a] * (p.taps[a] - 1)) * tap_step[a];
    p.weight_step[a] = -g.stride[a] * tap_step[a];
  }
  if (p.tap_count() == 0) {  // its pixels get zeros; a loop over no taps ends at once
    for (int& taps : p.taps) taps = 0;
  }
  set_points(p, x[0]);
  return p;
}

}  // namespace

Gather forward_gather(const Shape& x, const Shape& y, const Conv3dGeometry& geometry) {
  Gather g;
  set_extents(g, x, y, geometry);
  g.phases = 1;
  Phase& p = g.phase[0];
  for (int a = 0; a < 3; ++a) {
    g.mul[a] = geometry.stride[a];
    g.step[a] = 1;
    p.points[a] = g.destination[a];
    p.taps[a] = geometry.kernel[a];
    p.shift[a] = -geometry.padding[a];
  }
  p.weight_step[0] = geometry.kernel[1] * geometry.kernel[2];
  p.weight_step[1] = geometry.kernel[2];
  p.weight_step[2] = 1;
  set_points(p, y[0]);
  return g;
}

Gather linear_gather(std::int64_t rows) {
  const Shape line{1, 1, 1, rows, 1};
  return forward_gather(line, line, {});
}

std::vector<Gather> backward_data_gathers(const Shape& x, const Shape& y, const Conv3dGeometry& geometry) {
  Gather empty;
  set_extents(empty, y, x, geometry);
  for (int a = 0; a < 3; ++a) {
    empty.mul[a] = 1;
    empty.step[a] = geometry.stride[a];
  }
  std::vector<Phase> phases;
  for (int i = 0; i < geometry.stride[0] * geometry.stride[1] * geometry.stride[2]; ++i) {
    const Phase p = backward_phase(x, geometry, i);
    if (p.rows > 0) phases.push_back(p);
  }
  std::stable_sort(phases.begin(), phases.end(),
                   [](const Phase& a, const Phase& b) { return a.tap_count() > b.tap_count(); });
  std::vector<Gather> gathers;
  for (const Phase& p : phases) {
    if (gathers.empty() || gathers.back().phases == kMaxPhases) gathers.push_back(empty);
    Gather& g = gathers.back();
    g.phase[g.phases] = p;
    if (g.phases > 0) {
      const Phase& before = g.phase[g.phases - 1];
      g.phase[g.phases].first_tile = before.first_tile + ceil_div(before.rows, kTileM);
    }
    ++g.phases;
  }
  return gathers;
}

}  // namespace mg::cuda
