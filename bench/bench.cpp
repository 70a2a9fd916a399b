#include "bench/bench.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>

#include "kernels/bfloat16.h"

namespace mg {

namespace {

std::shared_ptr<void> memory_on(CpuStream&, const std::vector<char>& bytes) {
  void* memory = std::aligned_alloc(64, (bytes.size() + 127) / 64 * 64);
  std::memcpy(memory, bytes.data(), bytes.size());
  return {memory, [](void* p) { std::free(p); }};
}

#if defined(MG_CUDA)
std::shared_ptr<void> memory_on(CudaStream& stream, const std::vector<char>& bytes) {
  void* memory = stream.allocate(bytes.size() + 64);
  stream.upload(memory, bytes.data(), bytes.size());
  return {memory, [stream](void* p) mutable { stream.release(p); }};
}
#endif

std::shared_ptr<void> memory_of(Bench& bench, const std::vector<char>& bytes) {
  return std::visit([&](auto& s) { return memory_on(s, bytes); }, bench.stream);
}

}  // namespace

Array::Array(Bench& bench, Shape shape, DType dtype, std::int64_t pitch, Fill fill)
    : dtype_(dtype), shape_(shape), pitch_(pitch) {
  std::vector<char> bytes(static_cast<std::size_t>(shape.rows() * pitch * size_of(dtype)));
  std::minstd_rand random(7);
  std::uniform_real_distribution<float> values(-1, 1);
  // Random rows repeat after a million numbers: to draw each takes longer than all that is measured.
  const std::int64_t drawn =
      std::min(shape.rows(), std::max<std::int64_t>(1, (std::int64_t{1} << 20) / shape.channels()));
  for (std::int64_t row = 0; row < drawn && fill != Fill::zeros; ++row) {
    for (std::int64_t c = 0; c < shape.channels(); ++c) {
      const float value = fill == Fill::ones ? 1.0F : values(random);
      const auto at = static_cast<std::size_t>(row * pitch + c);
      if (dtype == DType::bf16) {
        reinterpret_cast<BFloat16*>(bytes.data())[at] = to_bfloat16(value);
      } else {
        reinterpret_cast<float*>(bytes.data())[at] = value;
      }
    }
  }
  const auto block = static_cast<std::size_t>(drawn * pitch * size_of(dtype));
  for (std::size_t at = block; at < bytes.size(); at += block)
    std::memcpy(&bytes[at], bytes.data(), std::min(block, bytes.size() - at));
  memory_ = memory_of(bench, bytes);
}

Array::Array(Bench& bench, const void* host, std::size_t bytes)
    : shape_{static_cast<std::int64_t>(bytes)}, pitch_(static_cast<std::int64_t>(bytes)) {
  const auto* begin = static_cast<const char*>(host);
  memory_ = memory_of(bench, std::vector<char>(begin, begin + bytes));
}

Array activation(Bench& bench, Shape shape, Array::Fill fill) {
  return {bench, shape, bench.dtype, round_up(shape.channels(), kChannelAlign), fill};
}
Array parameter(Bench& bench, Shape shape, Array::Fill fill) {
  return {bench, shape, DType::f32, shape.channels(), fill};
}

}  // namespace mg
