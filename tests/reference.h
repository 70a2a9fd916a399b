// Shared by the tests of operations: buffers with canaries around them, random fills, and the rule that
// compares a kernel with a naive reference: at most twice the error of the naive fp32 computation, plus a
// floor of a few units in the last place.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/cuda_stream.h"
#include "kernels/philox.h"
#include "kernels/view.h"

namespace mg::test {

// bf16 keeps 8 bits of a number: rounding to the nearest is off by at most 2^-8 of it, half a unit in the
// last place.
inline constexpr double kBF16Rounding = 1.0 / 256;

// Bytes on a CUDA device. They move by raw calls, so that nothing here depends on the engine.
class DeviceBytes {
 public:
#if defined(MG_CUDA)
  DeviceBytes(CudaStream& stream, std::size_t bytes)
      : stream_(stream), memory_(stream.allocate(bytes)), bytes_(bytes) {}
  ~DeviceBytes() { stream_.release(memory_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  void upload(const void* host) { stream_.upload(memory_, host, bytes_); }
  void download(void* host) { stream_.download(host, memory_, bytes_); }
  char* memory() const { return static_cast<char*>(memory_); }
  bool is_of(const CudaStream& stream) const { return stream.handle() == stream_.handle(); }

 private:
  CudaStream stream_;
  void* memory_;
  std::size_t bytes_;
#else
  void upload(const void*) {}
  void download(void*) {}
#endif
};

// Rows of channels at a pitch, with guard values before and after. Padding is zero in inputs, and must be
// zero afterwards. The host sees fp32; a kernel sees the element type asked for, on its stream's device: what
// moves is moved when the other side looks. With bf16, values are rounded as soon as they are set by
// randomize().
class Buffer {
 public:
  explicit Buffer(Shape shape, std::int64_t pitch = 0, DType dtype = DType::f32)
      : shape_(shape), pitch_(pitch > 0 ? pitch : shape.channels()), dtype_(dtype) {
    data_.assign(static_cast<std::size_t>(kGuard * 2 + shape.rows() * pitch_), 0.0f);
    std::fill_n(data_.begin(), kGuard, kCanary);
    std::fill_n(data_.end() - kGuard, kGuard, kCanary);
  }
  float* begin() {
    to_host();
    host_newer_ = true;
    return data_.data() + kGuard;
  }
  const float* begin() const {
    to_host();
    return data_.data() + kGuard;
  }
  float& at(std::int64_t row, std::int64_t channel) { return begin()[row * pitch_ + channel]; }
  float at(std::int64_t row, std::int64_t channel) const { return begin()[row * pitch_ + channel]; }
  // Element i of the tensor without its padding.
  float& operator[](std::int64_t i) { return at(i / shape_.channels(), i % shape_.channels()); }
  float operator[](std::int64_t i) const { return at(i / shape_.channels(), i % shape_.channels()); }
  std::int64_t count() const { return shape_.count(); }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }

  // For a kernel that writes it, and for one that reads it, on the host.
  View view() { return {{begin(), DType::f32, shape_, pitch_}}; }
  ConstView const_view() const { return {begin(), DType::f32, shape_, pitch_}; }
  // The same where the stream's kernels look, in the buffer's element type.
  template <class S>
  View view(S& stream) {
    char* memory = move_to(stream);
    device_newer_ = true;
    return {{memory, dtype_, shape_, pitch_}};
  }
  template <class S>
  ConstView const_view(S& stream) const {
    return {move_to(stream), dtype_, shape_, pitch_};
  }
  // As dense fp32 numbers.
  template <class S>
  float* pointer(S& stream) {
    REQUIRE(dtype_ == DType::f32);
    return view(stream).f32();
  }
  template <class S>
  const float* const_pointer(S& stream) const {
    REQUIRE(dtype_ == DType::f32);
    return const_view(stream).f32();
  }

  // Uniform in [-1, 1).
  Buffer& randomize(std::uint32_t site) {
    for (std::int64_t i = 0; i < count(); ++i) {
      const Philox4 bits = RandomKey{20240607, 0, site}.draw(0, static_cast<std::uint32_t>(i / 4));
      const float value = 2 * uniform01(bits.v[i % 4]) - 1;
      (*this)[i] = dtype_ == DType::bf16 ? to_float(to_bfloat16(value)) : value;
    }
    return *this;
  }
  // Outputs start as garbage, padding too where a kernel must write it (on CUDA), so that what a kernel
  // leaves out shows.
  Buffer& poison(bool padding = false) {
    for (std::int64_t i = 0; i < count(); ++i) (*this)[i] = 777.0f;
    for (std::int64_t r = 0; padding && r < shape_.rows(); ++r) {
      for (std::int64_t c = shape_.channels(); c < pitch_; ++c) at(r, c) = 777.0f;
    }
    return *this;
  }
  void check_guards() const {
    to_host();
    const float canary = dtype_ == DType::bf16 ? to_float(to_bfloat16(kCanary)) : kCanary;
    for (int i = 0; i < kGuard; ++i) {
      const float before = data_[static_cast<std::size_t>(i)],
                  after = data_[data_.size() - 1 - static_cast<std::size_t>(i)];
      REQUIRE((before == canary || before == kCanary));
      REQUIRE((after == canary || after == kCanary));
    }
    for (std::int64_t r = 0; r < shape_.rows(); ++r) {
      for (std::int64_t c = shape_.channels(); c < pitch_; ++c) REQUIRE(at(r, c) == 0.0f);
    }
  }

 private:
  static constexpr int kGuard = 64;
  static constexpr float kCanary = -12345.678f;

  // The bytes of data_ as a kernel sees them, guards and all.
  void pack() const {
    typed_.resize(data_.size() * static_cast<std::size_t>(size_of(dtype_)));
    if (dtype_ == DType::f32) {
      std::memcpy(typed_.data(), data_.data(), typed_.size());
      return;
    }
    auto* to = reinterpret_cast<BFloat16*>(typed_.data());
    for (std::size_t i = 0; i < data_.size(); ++i) to[i] = to_bfloat16(data_[i]);
  }
  void unpack() const {
    if (dtype_ == DType::f32) {
      std::memcpy(data_.data(), typed_.data(), typed_.size());
      return;
    }
    const auto* from = reinterpret_cast<const BFloat16*>(typed_.data());
    for (std::size_t i = 0; i < data_.size(); ++i) data_[i] = to_float(from[i]);
  }
  void to_host() const {
    if (!device_newer_) return;
    if (device_) device_->download(typed_.data());
    unpack();
    device_newer_ = false;
  }
  char* guarded(char* memory) const { return memory + kGuard * size_of(dtype_); }
  char* move_to(CpuStream&) const {
    to_host();
    if (device_ || host_newer_ || typed_.empty()) pack();
    device_.reset();
    host_newer_ = false;
    return guarded(typed_.data());
  }
#if defined(MG_CUDA)
  char* move_to(CudaStream& stream) const {
    if (!device_ || !device_->is_of(stream)) {
      to_host();
      device_ =
          std::make_shared<DeviceBytes>(stream, data_.size() * static_cast<std::size_t>(size_of(dtype_)));
      host_newer_ = true;
    }
    if (host_newer_) {
      pack();
      device_->upload(typed_.data());
      host_newer_ = false;
    }
    return guarded(device_->memory());
  }
#endif

  Shape shape_;
  std::int64_t pitch_;
  DType dtype_;
  mutable std::vector<float> data_;
  mutable std::vector<char> typed_;  // what a CPU kernel sees, or what moves to and from the device
  mutable std::shared_ptr<DeviceBytes> device_;  // null: kernels see typed_
  mutable bool host_newer_ = true, device_newer_ = false;
};

// Numbers that a kernel only reads, where its stream's kernels look: Held<std::int32_t> lengths{{3, 5}};
// lengths.on(stream).
template <class T>
class Held {
 public:
  explicit Held(std::vector<T> values) : values_(std::move(values)) {}
  const T* on(CpuStream&) { return values_.data(); }
#if defined(MG_CUDA)
  const T* on(CudaStream& stream) {
    device_ = std::make_shared<DeviceBytes>(stream, std::max<std::size_t>(1, values_.size() * sizeof(T)));
    if (!values_.empty()) device_->upload(values_.data());
    return reinterpret_cast<const T*>(device_->memory());
  }
#endif

 private:
  std::vector<T> values_;
  std::shared_ptr<DeviceBytes> device_;
};

// got against the double reference; naive is the same sum in plain fp32. inner: what numbers that are rounded
// to bf16 on the way (the weights of attention) may add, as a share of the largest result. terms: the size of
// the terms that the results are sums of, which counts as a result does: where terms cancel, their errors
// stay.
inline void check_close(const std::string& name, const Buffer& got, const std::vector<double>& reference,
                        const std::vector<float>& naive, double floor_scale = 4e-7, double inner = 0,
                        double terms = 0) {
  REQUIRE(static_cast<std::int64_t>(reference.size()) == got.count());
  double naive_error = 0, largest = terms;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    naive_error = std::max(naive_error, std::abs(naive[i] - reference[i]));
    largest = std::max(largest, std::abs(reference[i]));
  }
  const bool rounded = got.dtype() == DType::bf16;
  const double common = 2 * naive_error + floor_scale * largest + (rounded ? inner * largest : 0);
  double worst = -1, worst_bound = 0, worst_error = 0;  // worst: error over bound
  std::int64_t worst_index = 0;
  for (std::int64_t i = 0; i < got.count(); ++i) {
    const double expected = reference[static_cast<std::size_t>(i)];
    const double bound = common + (rounded ? kBF16Rounding * std::abs(expected) : 0);
    const double error = std::isfinite(got[i]) ? std::abs(got[i] - expected) : 1e30;
    const double share = error == 0 ? 0 : error / std::max(bound, 1e-300);
    if (share > worst) {
      worst = share;
      worst_index = i;
      worst_bound = bound;
      worst_error = error;
    }
  }
  INFO(name, ": element ", worst_index, " is ", got.count() > 0 ? got[worst_index] : 0.0f, ", expected ",
       got.count() > 0 ? reference[static_cast<std::size_t>(worst_index)] : 0.0, ", error ", worst_error,
       ", bound ", worst_bound);
  CHECK(worst <= 1);
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

// Which streams the tests run on: MG_TEST_DEVICE=cuda takes the CUDA device alone, and must find it;
// otherwise the processor.
inline bool on_cuda() {
  const char* device = std::getenv("MG_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

// Runs test(stream) on every instruction set of this machine, or on the CUDA device.
template <class F>
void on_every_stream(F test) {
  if (on_cuda()) {
#if defined(MG_CUDA)
    CudaStream stream;
    test(stream);
#else
    FAIL("MG_TEST_DEVICE=cuda, but this build has no CUDA");
#endif
    return;
  }
  for (Isa isa : supported_isas()) {
    CAPTURE(to_string(isa));
    CpuStream stream(2, isa);
    test(stream);
  }
}

// test(stream, element type of activations), for f32 and bf16.
template <class F>
void on_every_stream_and_type(F test) {
  for (const DType type : {DType::f32, DType::bf16}) {
    CAPTURE(size_of(type));
    on_every_stream([&](auto& stream) { test(stream, type); });
  }
}

// Runs test(stream) on every instruction set of this machine.
template <class F>
void on_every_isa(F test) {
  if (on_cuda()) return;
  for (Isa isa : supported_isas()) {
    CAPTURE(to_string(isa));
    CpuStream stream(2, isa);
    test(stream);
  }
}

}  // namespace mg::test
