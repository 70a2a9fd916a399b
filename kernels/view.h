// Views: what a kernel sees of a tensor. A view is a pointer, an element type, a shape in storage order (the
// last dimension is the channels) and a pitch: the distance in elements from one row of channels to the next.
// Dense means pitch == channels. Pitched tensors have a pitch that is a multiple of kChannelAlign, and their
// padding is zero: a kernel that writes a pitched view writes zeros there, and may read it.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

namespace mg {

enum class DType : std::uint8_t { f32, bf16, i32, i64, u8 };

constexpr std::int64_t size_of(DType type) {
  switch (type) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
      return 2;
    case DType::i64:
      return 8;
    case DType::u8:
      return 1;
  }
  return 0;
}

inline constexpr int kMaxRank = 5;
inline constexpr std::int64_t kChannelAlign = 16;  // elements: one 64-byte line of fp32, 32 bytes of bf16

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Up to five dimensions in storage order: video N T H W C, text B L D, a matrix rows x columns, a vector of
// channels.
class Shape {
 public:
  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<std::int64_t> dims) {
    for (std::int64_t dim : dims) {
      if (rank_ < kMaxRank) dims_[static_cast<std::size_t>(rank_++)] = dim;
    }
  }
  constexpr int rank() const { return rank_; }
  constexpr std::int64_t operator[](int i) const {
    return dims_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)];
  }
  constexpr std::int64_t& operator[](int i) { return dims_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)]; }
  // The last dimension; 1 for a scalar (rank 0).
  constexpr std::int64_t channels() const {
    return rank_ == 0 ? 1 : dims_[static_cast<std::size_t>(rank_ - 1)];
  }
  // The product of all dimensions but the last.
  constexpr std::int64_t rows() const {
    std::int64_t product = 1;
    for (int i = 0; i + 1 < rank_; ++i) product *= dims_[static_cast<std::size_t>(i)];
    return product;
  }
  constexpr std::int64_t count() const { return rows() * channels(); }
  constexpr void append(std::int64_t dim) { dims_[static_cast<std::size_t>(rank_++)] = dim; }
  friend constexpr bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

template <class Byte>  // void or const void
struct BasicView {
  Byte* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t pitch = 0;

  template <class Elem>
  Elem* as() const {
    return static_cast<Elem*>(data);
  }
  std::int64_t rows() const { return shape.rows(); }
  std::int64_t channels() const { return shape.channels(); }
  explicit operator bool() const { return data != nullptr; }
};

struct View : BasicView<void> {
  float* f32() const { return as<float>(); }
};

struct ConstView : BasicView<const void> {
  ConstView() = default;
  ConstView(const View& v) : BasicView<const void>{v.data, v.dtype, v.shape, v.pitch} {}
  ConstView(const void* p, DType t, Shape s, std::int64_t row_pitch)
      : BasicView<const void>{p, t, s, row_pitch} {}
  const float* f32() const { return as<const float>(); }
};

}  // namespace mg
