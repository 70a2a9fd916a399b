// The epilogue of a matrix-shaped kernel, applied to a block of its output while that is in cache.
// Included once per instruction set, after kernels/cpu/isa.h.
#pragma once

#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

template <Activation kActivation>
inline void epilogue_row(const Epilogue& epilogue, float* y, float* pre, const float* residual,
                         std::int64_t k0, std::int64_t k1) {
  for (std::int64_t k = k0; k < k1; k += kVectorFloats) {
    const std::int64_t count = std::min<std::int64_t>(kVectorFloats, k1 - k);
    const bool whole = count == kVectorFloats;
    auto read = [&](const float* p) { return whole ? load(p + k) : load_part(p + k, count); };
    auto write = [&](float* p, Vec v) { whole ? store(p + k, v) : store_part(p + k, v, count); };
    Vec value = read(y);
    if (epilogue.bias != nullptr) value += read(epilogue.bias);
    if (pre != nullptr) write(pre, value);
    value = vactivate<kActivation>(value);
    if (residual != nullptr) value += read(residual);
    write(y, value);
  }
}

// Rows [begin, end), channels [k0, k1) of y; pre_activation may be empty.
inline void epilogue_rows(const Epilogue& epilogue, const View& y, const View& pre_activation,
                          std::int64_t begin, std::int64_t end, std::int64_t k0, std::int64_t k1) {
  const ConstView& residual = epilogue.residual;
  if (epilogue.bias == nullptr && epilogue.activation == Activation::none && !residual && !pre_activation)
    return;
  with_activation(epilogue.activation, [&]<Activation kActivation>() {
    for (std::int64_t r = begin; r < end; ++r) {
      epilogue_row<kActivation>(epilogue, y.f32() + r * y.pitch,
                                pre_activation ? pre_activation.f32() + r * pre_activation.pitch : nullptr,
                                residual ? residual.f32() + r * residual.pitch : nullptr, k0, k1);
    }
  });
}

}  // namespace mg::MG_ISA
