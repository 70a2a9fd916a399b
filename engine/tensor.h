// A tensor: shared storage, an element type, a shape in storage order (video N T H W C, text B L D) and a
// pitch. Copies share the storage. Activations are pitched (rows of channels start on 64-byte lines, padding
// zero); parameters and buffers are dense, in PyTorch's layout. There are no strided views; reshaping keeps
// the last dimension.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/device_memory.h"
#include "engine/error.h"
#include "kernels/view.h"

namespace mg {

enum class Layout { dense, pitched };

std::string to_string(DType type);
std::string to_string(const Shape& shape);  // "[8, 16, 56, 56, 64]"
// Element i of C order as its index in each dimension: "[7, 0, 55, 3, 63]"
std::string index_text(std::int64_t i, const Shape& shape);

// Where tensors get their memory. Implementations: Arena (reuse step after step) and the heap.
class Allocator {
 public:
  virtual ~Allocator() = default;
  // 64-byte aligned, at least bytes + 64 long, contents undefined. Freed when the last owner goes.
  virtual std::shared_ptr<void> allocate(std::size_t bytes) = 0;
  // Whose memory it is; null: the host's.
  virtual const std::shared_ptr<DeviceMemory>& device() const;
};

// Plain heap memory, for tensors that live as long as the program: parameters, optimizer state.
Allocator& heap_allocator();
// Each tensor's memory by itself, on the device (null: heap_allocator()'s).
std::unique_ptr<Allocator> device_allocator(std::shared_ptr<DeviceMemory> device);

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised but for the padding of a pitched tensor, which is zero; on a device the padding is zero
  // once a kernel has written the tensor.
  Tensor(Allocator& allocator, Shape shape, Layout layout = Layout::pitched, DType dtype = DType::f32);
  static Tensor zeros(Allocator& allocator, Shape shape, Layout layout = Layout::pitched,
                      DType dtype = DType::f32);

  const Shape& shape() const { return shape_; }
  std::int64_t dim(int i) const { return shape_[i]; }
  std::int64_t rows() const { return shape_.rows(); }
  std::int64_t channels() const { return shape_.channels(); }
  std::int64_t count() const { return shape_.count(); }  // elements without padding
  std::int64_t pitch() const { return pitch_; }
  bool dense() const { return pitch_ == channels(); }
  DType dtype() const { return dtype_; }
  // Bytes from the first element to the end of the last row, padding included.
  std::size_t bytes() const { return static_cast<std::size_t>(rows() * pitch_ * size_of(dtype_)); }
  explicit operator bool() const { return storage_ != nullptr; }

  // For kernels of the stream that the memory belongs to: nothing may be read or written through these here.
  View view();
  ConstView view() const;
  template <class Elem>
  Elem* pointer() {
    return static_cast<Elem*>(storage_.get());
  }
  template <class Elem>
  const Elem* pointer() const {
    return static_cast<const Elem*>(storage_.get());
  }

  const std::shared_ptr<DeviceMemory>& device() const { return device_; }  // null: the host's
  // For the host, which throws when the memory is a device's.
  float* f32();
  const float* f32() const;
  template <class Elem>
  Elem* as() {
    check_host();
    return pointer<Elem>();
  }
  template <class Elem>
  const Elem* as() const {
    check_host();
    return pointer<Elem>();
  }
  // The element at (row, channel) of an fp32 tensor; for tests and scalars.
  float at(std::int64_t row, std::int64_t channel = 0) const { return f32()[row * pitch_ + channel]; }

  // The memory, for a copy that must keep it alive.
  const std::shared_ptr<void>& storage() const { return storage_; }

  // The same storage under another shape with the same last dimension and count.
  Tensor reshaped(Shape shape) const;
  void fill_zero();
  // The same values in the other memory (null: the host's); itself when it is there already. To the host it
  // waits.
  Tensor moved_to(const std::shared_ptr<DeviceMemory>& device) const;
  Tensor to_host() const { return moved_to(nullptr); }
  // Takes the values of a host tensor of the same shape, type and pitch.
  void take(const Tensor& host);

 private:
  void check_host() const;

  std::shared_ptr<void> storage_;
  std::shared_ptr<DeviceMemory> device_;
  Shape shape_;
  std::int64_t pitch_ = 0;
  DType dtype_ = DType::f32;
};

// The elements as numbers, row by row without padding. Waits for a device.
std::vector<float> to_vector(const Tensor& tensor);

}  // namespace mg
