// Shared by the tests of operations: buffers with canaries around them, random fills, and the rule that
// compares a kernel with a naive reference: at most twice the error of the naive fp32 computation, plus a
// floor of a few units in the last place.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/philox.h"
#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg::test {

// Rows of channels at a pitch, with guard values before and after. Padding is zero in inputs, and must be
// zero afterwards.
class Buffer {
 public:
  explicit Buffer(Shape shape, std::int64_t pitch = 0)
      : shape_(shape), pitch_(pitch > 0 ? pitch : shape.channels()) {
    data_.assign(static_cast<std::size_t>(kGuard * 2 + shape.rows() * pitch_), 0.0f);
    std::fill_n(data_.begin(), kGuard, kCanary);
    std::fill_n(data_.end() - kGuard, kGuard, kCanary);
  }
  float* begin() { return data_.data() + kGuard; }
  const float* begin() const { return data_.data() + kGuard; }
  float& at(std::int64_t row, std::int64_t channel) { return begin()[row * pitch_ + channel]; }
  float at(std::int64_t row, std::int64_t channel) const { return begin()[row * pitch_ + channel]; }
  // Element i of the tensor without its padding.
  float& operator[](std::int64_t i) { return at(i / shape_.channels(), i % shape_.channels()); }
  float operator[](std::int64_t i) const { return at(i / shape_.channels(), i % shape_.channels()); }
  std::int64_t count() const { return shape_.count(); }
  const Shape& shape() const { return shape_; }

  View view() { return {{begin(), DType::f32, shape_, pitch_}}; }
  ConstView const_view() const { return {begin(), DType::f32, shape_, pitch_}; }

  // Uniform in [-1, 1).
  Buffer& randomize(std::uint32_t site) {
    for (std::int64_t i = 0; i < count(); ++i) {
      const Philox4 bits = RandomKey{20240607, 0, site}.draw(0, static_cast<std::uint32_t>(i / 4));
      (*this)[i] = 2 * uniform01(bits.v[i % 4]) - 1;
    }
    return *this;
  }
  // Outputs start as garbage, so that what a kernel leaves out shows.
  Buffer& poison() {
    for (std::int64_t i = 0; i < count(); ++i) (*this)[i] = 777.0f;
    return *this;
  }
  void check_guards() const {
    for (int i = 0; i < kGuard; ++i) {
      REQUIRE(data_[static_cast<std::size_t>(i)] == kCanary);
      REQUIRE(data_[data_.size() - 1 - static_cast<std::size_t>(i)] == kCanary);
    }
    for (std::int64_t r = 0; r < shape_.rows(); ++r) {
      for (std::int64_t c = shape_.channels(); c < pitch_; ++c) REQUIRE(at(r, c) == 0.0f);
    }
  }

 private:
  static constexpr int kGuard = 64;
  static constexpr float kCanary = -12345.678f;
  Shape shape_;
  std::int64_t pitch_;
  std::vector<float> data_;
};

// got against the double reference; naive is the same sum in plain fp32.
inline void check_close(const std::string& name, const Buffer& got, const std::vector<double>& reference,
                        const std::vector<float>& naive, double floor_scale = 4e-7) {
  REQUIRE(static_cast<std::int64_t>(reference.size()) == got.count());
  double naive_error = 0, largest = 0, worst = -1;
  std::int64_t worst_index = 0;
  for (std::int64_t i = 0; i < got.count(); ++i) {
    const double expected = reference[static_cast<std::size_t>(i)];
    naive_error = std::max(naive_error, std::abs(naive[static_cast<std::size_t>(i)] - expected));
    largest = std::max(largest, std::abs(expected));
    const double error = std::isfinite(got[i]) ? std::abs(got[i] - expected) : 1e30;
    if (error > worst) {
      worst = error;
      worst_index = i;
    }
  }
  const double bound = 2 * naive_error + floor_scale * largest;
  INFO(name, ": element ", worst_index, " is ", got.count() > 0 ? got[worst_index] : 0.0f, ", expected ",
       got.count() > 0 ? reference[static_cast<std::size_t>(worst_index)] : 0.0, ", error ", worst,
       ", bound ", bound);
  CHECK(worst <= bound);
  got.check_guards();
}

// The elements of a tensor without its padding.
template <class Real>
std::vector<Real> values(const Buffer& buffer) {
  std::vector<Real> all;
  for (std::int64_t i = 0; i < buffer.count(); ++i) all.push_back(static_cast<Real>(buffer[i]));
  return all;
}

// check_close against reference(Real{}), a naive computation in double and in fp32.
template <class F>
void check_both(const std::string& name, const Buffer& got, F reference) {
  check_close(name, got, reference(double{}), reference(float{}));
}

// Runs test(stream) on every instruction set of this machine.
template <class F>
void on_every_isa(F test) {
  for (Isa isa : supported_isas()) {
    CAPTURE(to_string(isa));
    CpuStream stream(2, isa);
    test(stream);
  }
}

}  // namespace mg::test
