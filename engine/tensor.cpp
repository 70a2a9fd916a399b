#include "engine/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>

#include "kernels/bfloat16.h"

namespace mg {

std::string to_string(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
  }
  return "?";
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank(); ++i) text += fmt::format("{}{}", i > 0 ? ", " : "", shape[i]);
  return text + "]";
}

std::string index_text(std::int64_t i, const Shape& shape) {
  Shape index = shape;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    index[d] = i % shape[d];
    i /= shape[d];
  }
  return to_string(index);
}

namespace {

class HeapAllocator : public Allocator {
 public:
  std::shared_ptr<void> allocate(std::size_t bytes) override {
    void* p =
        std::aligned_alloc(64, static_cast<std::size_t>(round_up(static_cast<std::int64_t>(bytes) + 64, 64)));
    if (p == nullptr) throw Error(ExitCode::out_of_memory, "out of memory: {} bytes for a tensor", bytes);
    return {p, std::free};
  }
};

}  // namespace

const std::shared_ptr<DeviceMemory>& Allocator::device() const {
  static const std::shared_ptr<DeviceMemory> host;
  return host;
}

Allocator& heap_allocator() {
  static HeapAllocator allocator;
  return allocator;
}

namespace {

class DeviceAllocator : public Allocator {
 public:
  explicit DeviceAllocator(std::shared_ptr<DeviceMemory> device) : device_(std::move(device)) {}
  std::shared_ptr<void> allocate(std::size_t bytes) override {
    if (!device_) return heap_allocator().allocate(bytes);
    void* block = device_->allocate(bytes + 64);
    if (block == nullptr) {
      throw Error(ExitCode::out_of_memory, "out of GPU memory: {} bytes for a tensor", bytes);
    }
    return {block, [device = device_](void* p) { device->release(p); }};
  }
  const std::shared_ptr<DeviceMemory>& device() const override { return device_; }

 private:
  std::shared_ptr<DeviceMemory> device_;
};

}  // namespace

std::unique_ptr<Allocator> device_allocator(std::shared_ptr<DeviceMemory> device) {
  return std::make_unique<DeviceAllocator>(std::move(device));
}

Tensor::Tensor(Allocator& allocator, Shape shape, Layout layout, DType dtype)
    : shape_(shape),
      pitch_(layout == Layout::pitched ? round_up(shape.channels(), kChannelAlign) : shape.channels()),
      dtype_(dtype) {
  storage_ = allocator.allocate(bytes());
  device_ = allocator.device();
  if (pitch_ == channels() || device_) return;
  const auto elem = static_cast<std::size_t>(size_of(dtype_));
  const std::size_t padding = static_cast<std::size_t>(pitch_ - channels()) * elem;
  char* end = static_cast<char*>(storage_.get()) + static_cast<std::size_t>(channels()) * elem;
  for (std::int64_t r = 0; r < rows(); ++r)
    std::memset(end + static_cast<std::size_t>(r * pitch_) * elem, 0, padding);
}

Tensor Tensor::zeros(Allocator& allocator, Shape shape, Layout layout, DType dtype) {
  Tensor t(allocator, shape, layout, dtype);
  t.fill_zero();
  return t;
}

View Tensor::view() { return {{storage_.get(), dtype_, shape_, pitch_}}; }
ConstView Tensor::view() const { return {storage_.get(), dtype_, shape_, pitch_}; }

float* Tensor::f32() {
  // Not expect(): elements are read through here one by one, and its arguments would be formatted each time.
  if (dtype_ != DType::f32) {
    throw Error(ExitCode::failure, "tensor {}: expected f32, got {}", to_string(shape_), to_string(dtype_));
  }
  return as<float>();
}
void Tensor::check_host() const {
  if (device_)
    throw Error(ExitCode::failure, "tensor {}: the host looked at a GPU's memory", to_string(shape_));
}
const float* Tensor::f32() const { return const_cast<Tensor*>(this)->f32(); }

Tensor Tensor::reshaped(Shape shape) const {
  expect(shape.channels() == channels() && shape.count() == count(), "reshape: {} does not fit {}",
         to_string(shape), to_string(shape_));
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

void Tensor::fill_zero() {
  if (!storage_) return;
  if (device_) {
    device_->zero(storage_.get(), bytes());
  } else {
    std::memset(storage_.get(), 0, bytes());
  }
}

Tensor Tensor::moved_to(const std::shared_ptr<DeviceMemory>& device) const {
  if (!storage_ || device == device_) return *this;
  expect(!device_ || !device, "tensor {}: from one GPU to another", to_string(shape_));
  Tensor moved = *this;
  moved.storage_ = device_allocator(device)->allocate(bytes());
  moved.device_ = device;
  if (device) {
    device->upload(moved.storage_.get(), storage_.get(), bytes());
  } else {
    device_->download(moved.storage_.get(), storage_.get(), bytes());
  }
  return moved;
}

std::vector<float> to_vector(const Tensor& tensor) {
  const Tensor host = tensor.to_host();
  const auto channels = static_cast<std::size_t>(host.channels());
  std::vector<float> all;
  all.reserve(static_cast<std::size_t>(host.count()));
  for (std::int64_t r = 0; r < host.rows(); ++r) {
    if (host.dtype() == DType::bf16) {
      const auto* row = host.as<BFloat16>() + r * host.pitch();
      std::transform(row, row + channels, std::back_inserter(all), [](BFloat16 x) { return to_float(x); });
    } else {
      const float* row = host.f32() + r * host.pitch();
      all.insert(all.end(), row, row + channels);
    }
  }
  return all;
}

void Tensor::take(const Tensor& host) {
  expect(host.shape() == shape_ && host.dtype() == dtype_ && host.pitch() == pitch_ && !host.device(),
         "tensor {} {}: cannot take the values of {} {}", to_string(dtype_), to_string(shape_),
         to_string(host.dtype()), to_string(host.shape()));
  if (device_) {
    device_->upload(storage_.get(), host.storage_.get(), bytes());
  } else {
    std::memcpy(storage_.get(), host.storage_.get(), bytes());
  }
}

}  // namespace mg
