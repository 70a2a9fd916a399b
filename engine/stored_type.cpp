#include "engine/stored_type.h"

#include <array>
#include <bit>
#include <cstring>

#include "engine/error.h"

namespace mg {

static_assert(std::endian::native == std::endian::little, "tensor bytes are read and written as they are");

namespace {

float half_to_float(std::uint16_t bits) {
  // Fraction and exponent in the places of fp32; the product puts the exponent's bias right, and is exact for
  // subnormals too.
  const std::uint32_t magnitude = (bits & 0x7fffu) << 13, sign = (bits & 0x8000u) << 16;
  const bool finite = (bits & 0x7c00) != 0x7c00;
  const auto value = finite ? std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f)
                            : magnitude | 0x7f800000u;
  return std::bit_cast<float>(value | sign);
}

float bfloat_to_float(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
float double_to_float(double value) { return static_cast<float>(value); }
std::int32_t widen_i8(std::int8_t value) { return value; }
std::int32_t widen_i16(std::int16_t value) { return value; }
std::uint8_t bool_to_u8(std::uint8_t value) { return value != 0 ? 1 : 0; }

template <class To, class From, To (*kConvert)(From)>
void convert_all(const char* from, std::int64_t count, void* to) {
  To* out = static_cast<To*>(to);
  for (std::int64_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, from + static_cast<std::size_t>(i) * sizeof(From), sizeof(From));
    out[i] = kConvert(value);
  }
}

constexpr std::array kStoredTypes{
    StoredType{"F32", 4, DType::f32, nullptr},
    StoredType{"I64", 8, DType::i64, nullptr},
    StoredType{"I32", 4, DType::i32, nullptr},
    StoredType{"U8", 1, DType::u8, nullptr},
    StoredType{"F64", 8, DType::f32, convert_all<float, double, double_to_float>},
    StoredType{"F16", 2, DType::f32, convert_all<float, std::uint16_t, half_to_float>},
    StoredType{"BF16", 2, DType::f32, convert_all<float, std::uint16_t, bfloat_to_float>},
    StoredType{"I16", 2, DType::i32, convert_all<std::int32_t, std::int16_t, widen_i16>},
    StoredType{"I8", 1, DType::i32, convert_all<std::int32_t, std::int8_t, widen_i8>},
    StoredType{"BOOL", 1, DType::u8, convert_all<std::uint8_t, std::uint8_t, bool_to_u8>},
};

}  // namespace

std::span<const StoredType> stored_types() { return kStoredTypes; }

const StoredType* find_stored_type(std::string_view name) {
  for (const StoredType& type : kStoredTypes) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

const StoredType& stored_type(DType dtype) {
  for (const StoredType& type : kStoredTypes) {
    if (type.dtype == dtype && type.convert == nullptr) return type;
  }
  throw Error(ExitCode::failure, "stored_type: no file has elements of type {}", static_cast<int>(dtype));
}

}  // namespace mg
