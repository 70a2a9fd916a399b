// The epilogue of a matrix-shaped kernel, applied to a block of its output while that is in cache.
// Included once per instruction set, after kernels/cpu/isa.h.
#pragma once

#include "kernels/cpu/dropout_mask.h"
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

template <Activation kActivation>
inline void epilogue_row(const Epilogue& epilogue, float* y, float* pre, const float* residual,
                         std::int64_t k0, std::int64_t k1, const float* factors) {
  for_each_vector(k1 - k0, [&](std::int64_t i, auto lanes) {
    const std::int64_t k = k0 + i;
    Vec value = lanes.load(y + k);
    if (epilogue.bias != nullptr) value += lanes.load(epilogue.bias + k);
    if (pre != nullptr) lanes.store(pre + k, value);
    value = vactivate<kActivation>(value);
    if (factors != nullptr) value *= lanes.load(factors + i);
    if (residual != nullptr) value += lanes.load(residual + k);
    if (epilogue.relu) value = vrelu(value);
    lanes.store(y + k, value);
  });
}

// Rows [begin, end), channels [k0, k1) of y; pre_activation may be empty.
inline void epilogue_rows(const Epilogue& epilogue, const View& y, const View& pre_activation,
                          std::int64_t begin, std::int64_t end, std::int64_t k0, std::int64_t k1) {
  const ConstView& residual = epilogue.residual;
  const bool drops = epilogue.dropout.p > 0;
  if (epilogue.bias == nullptr && epilogue.activation == Activation::none && !drops && !residual &&
      !epilogue.relu && !pre_activation) {
    return;
  }
  std::vector<float> factors(drops ? static_cast<std::size_t>(k1 - k0) : 0);
  with_activation(epilogue.activation, [&]<Activation kActivation>() {
    for (std::int64_t r = begin; r < end; ++r) {
      if (drops) dropout_factors(epilogue.dropout, r, y.channels(), k0, k1 - k0, factors.data());
      epilogue_row<kActivation>(epilogue, y.f32() + r * y.pitch,
                                pre_activation ? pre_activation.f32() + r * pre_activation.pitch : nullptr,
                                residual ? residual.f32() + r * residual.pitch : nullptr, k0, k1,
                                drops ? factors.data() : nullptr);
    }
  });
}

}  // namespace mg::MG_ISA
