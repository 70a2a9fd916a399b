// The vector functions as the portable instruction set compiles them; on the others they are reached through
// the activations.
#include <cstring>
#include <limits>

#include "reference.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/vec_math.h"

using namespace mg;
using namespace mg::test;

namespace {

// f on one number, in every lane alike.
template <class F>
double lane(F f, float x) {
  float lanes[kVectorFloats];
  portable::store(lanes, f(portable::splat(x)));
  for (float other : lanes) REQUIRE(std::memcmp(&other, lanes, sizeof(float)) == 0);
  return static_cast<double>(lanes[0]);
}

template <class F>
void for_each_point(float from, float to, F f) {
  constexpr int kPoints = 200000;
  for (int i = 0; i <= kPoints; ++i) f(from + (to - from) * static_cast<float>(i) / kPoints);
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("vexp is within two units in the last place and sound at the ends") {
  double worst = 0;
  for_each_point(-87.0f, 88.7f, [&](float x) {
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(lane(portable::vexp, x) - exact) / exact);
  });
  CHECK(worst < 2.4e-7);
  CHECK(lane(portable::vexp, 0.0f) == 1);
  CHECK(lane(portable::vexp, -100.0f) == 0);
  CHECK(lane(portable::vexp, -kInfinity) == 0);
  CHECK(std::isinf(lane(portable::vexp, 100.0f)));
  CHECK(std::isinf(lane(portable::vexp, kInfinity)));
  CHECK(std::isnan(lane(portable::vexp, std::nanf(""))));
}

TEST_CASE("verf and vsigmoid are within 2e-7") {
  double worst = 0;
  for_each_point(-6.0f, 6.0f, [&](float x) {
    worst = std::max(worst, std::abs(lane(portable::verf, x) - std::erf(static_cast<double>(x))));
  });
  CHECK(worst < 2e-7);
  worst = 0;
  for_each_point(-100.0f, 100.0f, [&](float x) {
    worst =
        std::max(worst, std::abs(lane(portable::vsigmoid, x) - 1 / (1 + std::exp(-static_cast<double>(x)))));
  });
  CHECK(worst < 2e-7);
}
