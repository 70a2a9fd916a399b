#include "engine/context.h"

#include <algorithm>

#include "kernels/elementwise.h"

namespace mg {

namespace {

Arena kernel_memory(const Stream& stream) {
#if defined(MG_CUDA)
  if (const auto* cuda = std::get_if<CudaStream>(&stream)) return Arena(cuda_memory(*cuda));
#else
  static_cast<void>(stream);
#endif
  return {};
}

Arena host_memory(const Stream& stream) {
#if defined(MG_CUDA)
  if (const auto* cuda = std::get_if<CudaStream>(&stream)) return Arena(pinned_memory(*cuda));
#else
  static_cast<void>(stream);
#endif
  return {};
}

}  // namespace

Context::Context(Stream s)
    : stream(std::move(s)), arena(kernel_memory(stream)), staging(host_memory(stream)) {}

Context Context::planning(DType activations) {
  Context plan(CpuStream(1), Arena(planned_memory()), Arena());
  plan.planning_ = true;
  plan.activations = activations;
  return plan;
}

Tensor Context::to_device(const Tensor& host) {
  if (!on_device() || host.device()) return host;
  Tensor there(arena, host.shape(), host.dense() ? Layout::dense : Layout::pitched, host.dtype());
  there.take(host);
  return there;
}

namespace {

void copy_in(const Context& ctx, std::span<const std::byte> bytes, std::byte* to) {
  if (ctx.on_device()) {
    ctx.arena.device()->upload(to, bytes.data(), bytes.size());
  } else {
    std::copy(bytes.begin(), bytes.end(), to);
  }
}

}  // namespace

Tensor Context::upload(std::span<const std::int32_t> values) {
  Tensor there = empty({static_cast<std::int64_t>(values.size())}, Layout::dense, DType::i32);
  copy_in(*this, std::as_bytes(values), there.pointer<std::byte>());
  return there;
}

Tensor Context::upload_bytes(std::span<const std::byte> bytes) {
  Tensor there = empty({static_cast<std::int64_t>(bytes.size())}, Layout::dense, DType::u8);
  copy_in(*this, bytes, there.pointer<std::byte>());
  return there;
}

Tensor Context::activation(const Tensor& x) {
  Tensor there = to_device(x);
  const bool pitched = there.pitch() == round_up(there.channels(), kChannelAlign);
  if (there.dtype() == activations && (pitched || !on_device())) return there;
  Tensor y = empty(x.shape(), Layout::pitched, activations);
  run([&](auto& s) { scale_forward({y.view(), std::as_const(there).view(), 1}, s); });
  return y;
}

}  // namespace mg
