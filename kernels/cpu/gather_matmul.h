// The driver of the register tile: y[out_row(p), k] = sum over taps and channels of x[row(tap, p), c] *
// w[tap, c, k], blocked so that a chunk of input rows stays in L2 while every weight panel passes over it. An
// output is computed whole by one tile, in one order, so results do not depend on the partition. Included
// once per instruction set, after kernels/cpu/isa.h.
#pragma once

#include "kernels/cpu/matrix_tile.h"

namespace mg::MG_ISA {

struct GatherMatmul {
  const float* x = nullptr;
  std::int64_t x_pitch = 0;
  const std::int32_t* rows = nullptr;      // [taps][pixels]: row of x, or -1 for zeros; null: row p, one tap
  const std::int32_t* out_rows = nullptr;  // [pixels]; null: row p
  std::int64_t pixels = 0, taps = 1, channels = 0, outputs = 0;
  const float* packed = nullptr;  // panels as pack_panels makes them
  float* y = nullptr;
  std::int64_t y_pitch = 0;
};

// Scratch slots of the kernels that share this driver.
enum ScratchSlot : int {
  kPackedSlot = 0,
  kZeroSlot = 1,
  kRowsSlot = 2,
  kGatherSlot = 3,
  kInputSlot = 4,
  kPartialSlot = 5
};

inline std::int64_t panel_count(std::int64_t outputs) { return (outputs + kPanel - 1) / kPanel; }

// Output channels of a panel: the last one is a single vector wide when that suffices.
inline std::int64_t panel_width(std::int64_t outputs, std::int64_t panel) {
  return outputs - panel * kPanel <= kVectorFloats ? kVectorFloats : kPanel;
}

inline std::int64_t packed_floats(std::int64_t depth, std::int64_t outputs) {
  return depth * round_up(outputs, kVectorFloats);
}

// Packs element(k, d) for k < outputs, d < depth (= tap * channels + c) as panels [depth][width], zeros past
// the last output. for_each_row(k, put) must call put(d, value) for every d.
template <class ForEachRow>
void pack_panels(CpuStream& stream, std::int64_t depth, std::int64_t outputs, float* packed,
                 ForEachRow for_each_row) {
  stream.parallel_for(panel_count(outputs), [&](std::int64_t panel, int) {
    const std::int64_t width = panel_width(outputs, panel);
    float* out = packed + panel * kPanel * depth;
    const std::int64_t valid = std::min(width, outputs - panel * kPanel);
    if (valid < width) std::memset(out, 0, static_cast<std::size_t>(depth * width) * sizeof(float));
    for (std::int64_t i = 0; i < valid; ++i) {
      for_each_row(panel * kPanel + i, [&](std::int64_t d, float value) { out[d * width + i] = value; });
    }
  });
}

struct TileScratch {
  const float* zeros;  // a row of zeros
  const float** rows;  // [taps][MR]
  float* gathered;     // [MR][taps * channels], for few channels
};

// Below this many channels the taps of a pixel are gathered into one row first: the inner loop would be too
// short.
inline constexpr std::int64_t kGatherBelow = 8;

inline bool gathers(const GatherMatmul& job) { return job.taps > 1 && job.channels < kGatherBelow; }

inline const float* input_row(const GatherMatmul& job, const float* zeros, std::int64_t tap,
                              std::int64_t pixel) {
  if (job.rows == nullptr) return job.x + pixel * job.x_pitch;
  const std::int32_t row = job.rows[tap * job.pixels + pixel];
  return row < 0 ? zeros : job.x + row * job.x_pitch;
}

// Runs of rows that lie one after the other (taps along W of a dense input) are copied at once.
inline void gather_row(const GatherMatmul& job, std::int64_t pixel, float* out) {
  const std::int64_t channels = job.channels;
  for (std::int64_t tap = 0; tap < job.taps;) {
    const std::int32_t row = job.rows[tap * job.pixels + pixel];
    std::int64_t run = 1;
    if (row < 0) {
      while (tap + run < job.taps && job.rows[(tap + run) * job.pixels + pixel] < 0) ++run;
      for (std::int64_t i = 0; i < run * channels; ++i) out[i] = 0;
    } else {
      if (job.x_pitch == channels) {
        while (tap + run < job.taps && job.rows[(tap + run) * job.pixels + pixel] == row + run) ++run;
      }
      const float* in = job.x + row * job.x_pitch;
      for (std::int64_t i = 0; i < run * channels; ++i) out[i] = in[i];
    }
    out += run * channels;
    tap += run;
  }
}

template <int MR, int NV>
void run_panel(const GatherMatmul& job, const TileScratch& scratch, std::int64_t begin, std::int64_t end,
               std::int64_t panel) {
  constexpr std::int64_t kWidth = NV * kVectorFloats;
  const float* w = job.packed + panel * kPanel * job.taps * job.channels;
  const std::int64_t k0 = panel * kPanel;
  const bool whole = k0 + kWidth <= job.y_pitch;  // zeros land in the row's padding
  const std::int64_t valid = std::min(kWidth, job.outputs - k0);
  const bool gathered = gathers(job);
  const std::int64_t depth = job.taps * job.channels;
  alignas(64) float spill[MR * kWidth];
  for (std::int64_t p0 = begin; p0 < end; p0 += MR) {
    const int pixels = static_cast<int>(std::min<std::int64_t>(MR, end - p0));
    float* out[MR];
    for (int m = 0; m < MR; ++m) {
      const bool direct = m < pixels && whole;
      const std::int64_t row = m >= pixels ? 0 : job.out_rows != nullptr ? job.out_rows[p0 + m] : p0 + m;
      out[m] = direct ? job.y + row * job.y_pitch + k0 : spill + m * kWidth;
    }
    if (gathered) {
      for (int m = 0; m < MR; ++m) {
        scratch.rows[m] = m < pixels ? scratch.gathered + (p0 - begin + m) * depth : scratch.zeros;
      }
      multiply_tile<MR, NV>(1, depth, scratch.rows, w, out);
    } else {
      for (std::int64_t tap = 0; tap < job.taps; ++tap) {
        for (int m = 0; m < MR; ++m) {
          scratch.rows[tap * MR + m] =
              m < pixels ? input_row(job, scratch.zeros, tap, p0 + m) : scratch.zeros;
        }
      }
      multiply_tile<MR, NV>(job.taps, job.channels, scratch.rows, w, out);
    }
    if (whole) continue;
    for (int m = 0; m < pixels; ++m) {
      const std::int64_t row = job.out_rows != nullptr ? job.out_rows[p0 + m] : p0 + m;
      float* y = job.y + row * job.y_pitch + k0;
      for (std::int64_t i = 0; i < valid; ++i) y[i] = spill[m * kWidth + i];
    }
  }
}

// Pixels of a chunk: a multiple of every tile's height, input rows of about 192 KiB.
inline std::int64_t chunk_pixels(const GatherMatmul& job) {
  constexpr std::int64_t kMultiple = 84;
  const std::int64_t reach = job.taps > 1 ? 3 : 2;
  const std::int64_t depth = gathers(job) ? job.taps * job.channels : job.channels * reach;
  const std::int64_t wanted = (192 << 10) / (depth * 4);
  return std::clamp<std::int64_t>(wanted / kMultiple, 1, 10) * kMultiple;
}

// finish(begin, end, k_begin, k_end) is called after each block of pixels and output channels is written,
// while it is in cache.
template <class Finish>
void gather_matmul(const GatherMatmul& job, CpuStream& stream, Finish finish) {
  const std::int64_t chunk = chunk_pixels(job);
  const std::int64_t chunks = (job.pixels + chunk - 1) / chunk;
  const std::int64_t panels = panel_count(job.outputs);
  const bool gathered = gathers(job);
  // Few pixels: the panels are split too, so that there is work for 16 threads. Never by the number of
  // threads.
  const std::int64_t groups = chunks >= 16 ? 1 : std::min(panels, (16 + chunks - 1) / chunks);
  const std::int64_t depth = job.taps * job.channels;
  float* zeros = stream.scratch(CpuStream::kShared, kZeroSlot, static_cast<std::size_t>(depth));
  std::memset(zeros, 0, static_cast<std::size_t>(depth) * sizeof(float));
  stream.parallel_for(chunks * groups, [&](std::int64_t item, int worker) {
    const std::int64_t begin = item / groups * chunk;
    const std::int64_t end = std::min(job.pixels, begin + chunk);
    const std::int64_t group = item % groups;
    TileScratch scratch{zeros, nullptr, nullptr};
    const auto pointers = static_cast<std::size_t>(job.taps * 16);
    scratch.rows = reinterpret_cast<const float**>(stream.scratch(worker, kRowsSlot, 2 * pointers));
    if (gathered) {
      scratch.gathered = stream.scratch(worker, kGatherSlot, static_cast<std::size_t>(chunk * depth));
      for (std::int64_t p = begin; p < end; ++p) gather_row(job, p, scratch.gathered + (p - begin) * depth);
    }
    const std::int64_t first = panels * group / groups;
    const std::int64_t last = panels * (group + 1) / groups;
    for (std::int64_t panel = first; panel < last; ++panel) {
      if (panel_width(job.outputs, panel) == kPanel) {
        run_panel<kTilePixels, kVectors>(job, scratch, begin, end, panel);
      } else {
        run_panel<kNarrowPixels, 1>(job, scratch, begin, end, panel);
      }
    }
    finish(begin, end, first * kPanel, std::min(job.outputs, last * kPanel));
  });
}

}  // namespace mg::MG_ISA
