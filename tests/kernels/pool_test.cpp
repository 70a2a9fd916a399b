#include "kernels/pool.h"

#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

struct PoolCase {
  std::int64_t samples, frames, height, width, channels;
  bool pitched = true;
};

// The networks' own widths with few positions, one position, and more positions and columns than a block has
// lanes.
constexpr PoolCase kCases[] = {
    {1, 1, 1, 1, 1},   {2, 1, 1, 1, 512},  {3, 2, 7, 7, 45},        {2, 1, 3, 5, 512},
    {2, 2, 4, 4, 921}, {1, 3, 17, 11, 16}, {2, 1, 5, 7, 40, false}, {3, 1, 3, 3, 17, false},
};

template <class Real>
std::vector<Real> pooled(const Buffer& x, std::int64_t samples) {
  const std::int64_t channels = x.shape().channels(), positions = x.shape().rows() / samples;
  std::vector<Real> y;
  for (std::int64_t n = 0; n < samples; ++n) {
    for (std::int64_t c = 0; c < channels; ++c) {
      Real sum = 0;
      for (std::int64_t p = 0; p < positions; ++p) sum += static_cast<Real>(x.at(n * positions + p, c));
      y.push_back(sum / static_cast<Real>(positions));
    }
  }
  return y;
}

template <class Real>
std::vector<Real> spread(const Buffer& dy, std::int64_t positions) {
  std::vector<Real> dx;
  for (std::int64_t r = 0; r < dy.shape().rows() * positions; ++r) {
    for (std::int64_t c = 0; c < dy.shape().channels(); ++c) {
      dx.push_back(static_cast<Real>(dy.at(r / positions, c)) / static_cast<Real>(positions));
    }
  }
  return dx;
}

}  // namespace

TEST_CASE("global average pooling against a naive double reference") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    std::uint32_t site = 5000;
    for (const PoolCase& t : kCases) {
      CAPTURE(site);
      const Shape shape{t.samples, t.frames, t.height, t.width, t.channels};
      const std::int64_t pitch = t.pitched ? round_up(t.channels, kChannelAlign) : t.channels;
      Buffer x(shape, pitch, type), dy({t.samples, t.channels}, pitch, type);
      x.randomize(++site);
      dy.randomize(++site);
      Buffer y({t.samples, t.channels}, pitch, type), dx(shape, pitch, type);
      y.poison(on_cuda());
      dx.poison(on_cuda());
      global_average_pool_forward({y.view(stream), x.const_view(stream)}, stream);
      global_average_pool_backward({dx.view(stream), dy.const_view(stream)}, stream);
      // Numbers around zero: the floor is two units in the last place of the numbers that are added, not of
      // their mean.
      const std::vector<double> exact = pooled<double>(x, t.samples);
      double largest = 0;
      for (const double value : exact) largest = std::max(largest, std::abs(value));
      check_close("y", y, exact, pooled<float>(x, t.samples), 4e-7 + 2.4e-7 / largest);
      check_both("dx", dx, [&]<class Real>(Real) { return spread<Real>(dy, shape.rows() / t.samples); });
    }
  });
}
