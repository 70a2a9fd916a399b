#include "kernels/cpu/in_f32.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "kernels/bfloat16.h"

namespace mg {

namespace {

constexpr std::int64_t kBlock = 16384;  // elements a task

// f(begin, end) over the elements of a view's rows, padding included where it is there.
template <class View_, class F>
void for_each_block(CpuStream& stream, const View_& view, F f) {
  const std::int64_t count = view.rows() == 0 ? 0 : (view.rows() - 1) * view.pitch + view.channels();
  stream.parallel_for((count + kBlock - 1) / kBlock, [&](std::int64_t block, int) {
    f(block * kBlock, std::min(count, (block + 1) * kBlock));
  });
}

std::shared_ptr<float> floats(std::int64_t count) {
  const auto bytes = static_cast<std::size_t>(round_up(count, kChannelAlign)) * sizeof(float);
  auto* memory = static_cast<float*>(std::aligned_alloc(64, std::max<std::size_t>(bytes, 64)));
  if (memory == nullptr) throw std::bad_alloc();
  return {memory, std::free};
}

}  // namespace

void F32Copies::take(ConstView& view) {
  copies_.push_back(floats(view.rows() * view.pitch));
  float* to = copies_.back().get();
  const auto* from = view.as<const BFloat16>();
  for_each_block(stream_, view, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = to_float(from[i]);
  });
  view = {to, DType::f32, view.shape, view.pitch};
}

void F32Copies::take_rounded(ConstView& weights) {
  copies_.push_back(floats(weights.rows() * weights.pitch));
  float* to = copies_.back().get();
  const float* from = weights.f32();
  for_each_block(stream_, weights, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = to_float(to_bfloat16(from[i]));
  });
  weights = {to, DType::f32, weights.shape, weights.pitch};
}

void F32Copies::take(View& view) {
  copies_.push_back(floats(view.rows() * view.pitch));
  float* to = copies_.back().get();
  // Kernels may leave the padding alone, which is zero.
  std::fill_n(to, view.rows() * view.pitch, 0.0f);
  View f32;
  f32.data = to;
  f32.shape = view.shape;
  f32.pitch = view.pitch;
  outputs_.emplace_back(view, f32);
  view = f32;
}

void F32Copies::round_outputs() {
  for (const auto& [bf16, f32] : outputs_) {
    const float* from = f32.f32();
    auto* to = bf16.as<BFloat16>();
    for_each_block(stream_, bf16, [from, to](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = to_bfloat16(from[i]);
    });
  }
}

}  // namespace mg
