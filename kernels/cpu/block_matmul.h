// Products of small matrices that stay in cache, on the register tile of matrix_tile.h. One operand is packed
// in panels [depth][width], as for linear layers (gather_matmul.h). Included once per instruction set, after
// kernels/cpu/isa.h.
#pragma once

#include "kernels/cpu/gather_matmul.h"

namespace mg::MG_ISA {

inline constexpr int kBlockRows = kVectorFloats == 16 ? 8 : 4;  // rows of a tile

// Panels of the matrix whose row d is in + d * pitch.
inline void pack_rows(const float* in, std::int64_t pitch, std::int64_t depth, std::int64_t outputs,
                      float* packed) {
  for (std::int64_t panel = 0; panel < panel_count(outputs); ++panel) {
    const std::int64_t width = panel_width(outputs, panel), first = panel * kPanel;
    const std::int64_t valid = std::min(width, outputs - first);
    float* out = packed + first * depth;
    for (std::int64_t d = 0; d < depth; ++d, out += width) {
      std::copy_n(in + d * pitch + first, valid, out);
      std::fill_n(out + valid, width - valid, 0.0f);
    }
  }
}

// Panels of the matrix whose column k is in + k * pitch.
inline void pack_columns(const float* in, std::int64_t pitch, std::int64_t depth, std::int64_t outputs,
                         float* packed) {
  for (std::int64_t panel = 0; panel < panel_count(outputs); ++panel) {
    const std::int64_t width = panel_width(outputs, panel), first = panel * kPanel;
    const std::int64_t valid = std::min(width, outputs - first);
    float* out = packed + first * depth;
    if (valid < width) std::fill_n(out, depth * width, 0.0f);
    std::int64_t k = 0;
    for (; k + 4 <= valid;
         k += 4) {  // four columns at a time: each line of out is touched a quarter as often
      const float *a = in + (first + k) * pitch, *b = a + pitch, *c = b + pitch, *e = c + pitch;
      for (std::int64_t d = 0; d < depth; ++d) {
        float* line = out + d * width + k;
        line[0] = a[d];
        line[1] = b[d];
        line[2] = c[d];
        line[3] = e[d];
      }
    }
    for (; k < valid; ++k) {
      for (std::int64_t d = 0; d < depth; ++d) out[d * width + k] = in[(first + k) * pitch + d];
    }
  }
}

// out[r][k] = sum over d of rows[r][d] * packed(d, k), r < count. Rows of out hold outputs rounded up to
// whole vectors.
inline void multiply_block(const float* const* rows, std::int64_t count, std::int64_t depth,
                           const float* packed, std::int64_t outputs, float* out, std::int64_t stride) {
  alignas(64) float spill[kPanel];
  for (std::int64_t panel = 0; panel < panel_count(outputs); ++panel) {
    const float* w = packed + panel * kPanel * depth;
    for (std::int64_t r = 0; r < count; r += kBlockRows) {
      const float* in[kBlockRows];
      float* to[kBlockRows];
      for (int m = 0; m < kBlockRows; ++m) {
        const bool valid = r + m < count;
        in[m] = rows[valid ? r + m : r];
        to[m] = valid ? out + (r + m) * stride + panel * kPanel : spill;
      }
      if (panel_width(outputs, panel) == kPanel) {
        multiply_tile<kBlockRows, kVectors>(1, depth, in, w, to);
      } else {
        multiply_tile<kBlockRows, 1>(1, depth, in, w, to);
      }
    }
  }
}

// acc(c, k) += sum over r < count of rows[r][c] * packed(r, k) for c < channels, a multiple of kBlockRows.
// acc lies in panels [channels][width].
inline void accumulate_block(const float* const* rows, std::int64_t count, std::int64_t channels,
                             const float* packed, std::int64_t outputs, float* acc) {
  for (std::int64_t panel = 0; panel < panel_count(outputs); ++panel) {
    const std::int64_t width = panel_width(outputs, panel);
    const float* right = packed + panel * kPanel * count;
    float* tile = acc + panel * kPanel * channels;
    for (std::int64_t c = 0; c < channels; c += kBlockRows, tile += kBlockRows * width) {
      if (width == kPanel) {
        accumulate_tile<kBlockRows, kVectors>(count, rows, c, right, tile);
      } else {
        accumulate_tile<kBlockRows, 1>(count, rows, c, right, tile);
      }
    }
  }
}

}  // namespace mg::MG_ISA
