// Dropout's factors for a run of elements of one sample: Philox on a vector of counters at a time. Included
// once per instruction set, after kernels/cpu/isa.h.
#pragma once

#include "kernels/epilogue.h"

namespace mg::MG_ISA {

inline constexpr std::int64_t kMaskGroups = 16;              // counters at a time
inline constexpr std::int64_t kMaskChunk = 4 * kMaskGroups;  // elements they give

// bits[lane][i] = lane of key.draw(sample, group + i): a loop over counters that gcc vectorises.
inline void draw_groups(const RandomKey& key, std::uint32_t sample, std::uint32_t group,
                        std::uint32_t (&bits)[4][kMaskGroups]) {
  for (std::uint32_t i = 0; i < kMaskGroups; ++i) {
    const Philox4 draw = key.draw(sample, group + i);
    for (int lane = 0; lane < 4; ++lane) bits[lane][i] = draw.v[lane];
  }
}

// factors[i] = 1 / (1 - p) when element first + i is kept, else 0, for i < count.
inline void dropout_factors(const RandomKey& key, std::uint32_t sample, std::int64_t first,
                            std::int64_t count, float p, float* factors) {
  const float keep = 1.0f / (1.0f - p);
  for (std::int64_t start = first / 4 * 4; start < first + count; start += kMaskChunk) {
    alignas(64) std::uint32_t bits[4][kMaskGroups];
    alignas(64) float chunk[kMaskChunk];
    draw_groups(key, sample, static_cast<std::uint32_t>(start / 4), bits);
    for (int lane = 0; lane < 4; ++lane) {
      for (std::int64_t i = 0; i < kMaskGroups; ++i) {
        chunk[4 * i + lane] = uniform01(bits[lane][i]) >= p ? keep : 0.0f;
      }
    }
    const std::int64_t begin = std::max(first, start), end = std::min(first + count, start + kMaskChunk);
    for (std::int64_t e = begin; e < end; ++e) factors[e - first] = chunk[e - start];
  }
}

// The same for channels c0 .. c0 + count - 1 of row r, of rows of `channels`.
inline void dropout_factors(const DropoutMask& mask, std::int64_t r, std::int64_t channels, std::int64_t c0,
                            std::int64_t count, float* factors) {
  const auto sample = mask.sample_offset + static_cast<std::uint32_t>(r / mask.rows_per_sample);
  dropout_factors(mask.key, sample, r % mask.rows_per_sample * channels + c0, count, mask.p, factors);
}

}  // namespace mg::MG_ISA
