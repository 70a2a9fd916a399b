// The driver of weight gradients: dw[tap, c, k] = sum over pixels of x[row(tap, p), c] * dy[p, k]. Pixels are
// cut into slices, whose number depends on the shape alone; each slice sums into its own accumulator and the
// slices are added in order, so the bits do not depend on the threads. Included once per instruction set,
// after kernels/cpu/isa.h.
#pragma once

#include "kernels/cpu/gather_matmul.h"

namespace mg::MG_ISA {

struct GatherOuter {
  const float* x = nullptr;
  std::int64_t x_pitch = 0;
  const std::int32_t* rows = nullptr;  // [taps][pixels], -1 for zeros; null: row p, one tap
  const float* dy = nullptr;
  std::int64_t dy_pitch = 0;
  std::int64_t pixels = 0, taps = 1, channels = 0, outputs = 0;
};

// How the work is cut. Accumulators: [slices][panel][depth][panel width], depth = taps * channels.
struct OuterPlan {
  std::int64_t depth, panels, slices, slice_pixels, accumulator_floats;

  explicit OuterPlan(const GatherOuter& job) {
    depth = job.taps * job.channels;
    panels = panel_count(job.outputs);
    accumulator_floats = packed_floats(depth, job.outputs);
    const std::int64_t by_memory = std::max<std::int64_t>(1, (std::int64_t{8} << 20) / accumulator_floats);
    const std::int64_t by_pixels = std::max<std::int64_t>(1, job.pixels / 256);
    slices = std::min({by_memory, by_pixels, std::max<std::int64_t>(1, 32 / panels)});
    slice_pixels = (job.pixels + slices - 1) / slices;
  }
};

template <int NV>
inline void accumulate_rows(int mr, std::int64_t pixels, const float* const* rows, std::int64_t c0,
                            const float* dy, float* acc) {
  switch (mr) {
    case 1:
      return accumulate_tile<1, NV>(pixels, rows, c0, dy, acc);
    case 2:
      return accumulate_tile<2, NV>(pixels, rows, c0, dy, acc);
    case 3:
      return accumulate_tile<3, NV>(pixels, rows, c0, dy, acc);
    case 4:
      return accumulate_tile<4, NV>(pixels, rows, c0, dy, acc);
    case 5:
      return accumulate_tile<5, NV>(pixels, rows, c0, dy, acc);
    case 6:
      return accumulate_tile<6, NV>(pixels, rows, c0, dy, acc);
#if defined(MG_ISA_avx512)
    case 7:
      return accumulate_tile<7, NV>(pixels, rows, c0, dy, acc);
    case 8:
      return accumulate_tile<8, NV>(pixels, rows, c0, dy, acc);
    case 9:
      return accumulate_tile<9, NV>(pixels, rows, c0, dy, acc);
    case 10:
      return accumulate_tile<10, NV>(pixels, rows, c0, dy, acc);
    case 11:
      return accumulate_tile<11, NV>(pixels, rows, c0, dy, acc);
    case 12:
      return accumulate_tile<12, NV>(pixels, rows, c0, dy, acc);
    case 13:
      return accumulate_tile<13, NV>(pixels, rows, c0, dy, acc);
    case 14:
      return accumulate_tile<14, NV>(pixels, rows, c0, dy, acc);
#endif
    default:
      return;
  }
}

// One chunk of pixels into one panel: every tap and channel tile passes over the chunk of x and dy, which
// stays in cache.
template <int NV>
void accumulate_chunk(const GatherOuter& job, const float* const* pointers, std::int64_t pixels,
                      std::int64_t taps, std::int64_t channels, std::int64_t panel, float* packed_dy,
                      const float* dy, float* acc) {
  constexpr std::int64_t kWidth = NV * kVectorFloats;
  const std::int64_t k0 = panel * kPanel;
  const std::int64_t valid = std::min(kWidth, job.outputs - k0);
  for (std::int64_t p = 0; p < pixels; ++p) {
    const float* in = dy + p * job.dy_pitch + k0;
    float* out = packed_dy + p * kWidth;
    for (std::int64_t i = 0; i < valid; ++i) out[i] = in[i];
    for (std::int64_t i = valid; i < kWidth; ++i) out[i] = 0;
  }
  const std::int64_t tiles = (channels + kTilePixels - 1) / kTilePixels;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    for (std::int64_t tile = 0; tile < tiles; ++tile) {  // tiles of nearly equal height
      const std::int64_t c0 = channels * tile / tiles;
      const std::int64_t c1 = channels * (tile + 1) / tiles;
      accumulate_rows<NV>(static_cast<int>(c1 - c0), pixels, pointers + tap * pixels, c0, packed_dy,
                          acc + (tap * channels + c0) * kWidth);
    }
  }
}

// Calls emit(panel, slices, accumulator, slice stride) once all pixels are summed; emit must add the slices
// in order.
template <class Emit>
void gather_outer(const GatherOuter& job, CpuStream& stream, Emit emit) {
  const OuterPlan plan(job);
  float* accumulators = stream.scratch(CpuStream::kShared, kPartialSlot,
                                       static_cast<std::size_t>(plan.slices * plan.accumulator_floats));
  const bool gathered = job.taps > 1 && job.channels < kGatherBelow;
  const std::int64_t chunk = std::clamp<std::int64_t>(
      (std::int64_t{384} << 10) / 4 / ((gathered ? plan.depth : job.channels) + kPanel), 64, 512);
  float* zeros = stream.scratch(CpuStream::kShared, kZeroSlot, static_cast<std::size_t>(plan.depth));
  std::memset(zeros, 0, static_cast<std::size_t>(plan.depth) * sizeof(float));
  GatherMatmul reader;  // reads rows as the forward pass does
  reader.x = job.x;
  reader.x_pitch = job.x_pitch;
  reader.rows = job.rows;
  reader.pixels = job.pixels;
  reader.taps = job.taps;
  reader.channels = job.channels;
  stream.parallel_for(plan.slices * plan.panels, [&](std::int64_t item, int worker) {
    const std::int64_t slice = item / plan.panels;
    const std::int64_t panel = item % plan.panels;
    float* acc = accumulators + slice * plan.accumulator_floats + panel * kPanel * plan.depth;
    const std::int64_t width = panel_width(job.outputs, panel);
    std::memset(acc, 0, static_cast<std::size_t>(plan.depth * width) * sizeof(float));
    float* packed_dy = stream.scratch(worker, kInputSlot, static_cast<std::size_t>(chunk * kPanel));
    const auto** pointers = reinterpret_cast<const float**>(
        stream.scratch(worker, kRowsSlot, static_cast<std::size_t>(2 * chunk * (gathered ? 1 : job.taps))));
    float* gather = gathered
                        ? stream.scratch(worker, kGatherSlot, static_cast<std::size_t>(chunk * plan.depth))
                        : nullptr;
    const std::int64_t end = std::min(job.pixels, (slice + 1) * plan.slice_pixels);
    for (std::int64_t p0 = slice * plan.slice_pixels; p0 < end; p0 += chunk) {
      const std::int64_t pixels = std::min(chunk, end - p0);
      if (gathered) {
        for (std::int64_t p = 0; p < pixels; ++p) {
          pointers[p] = gather + p * plan.depth;
          gather_row(reader, p0 + p, gather + p * plan.depth);
        }
      } else {
        for (std::int64_t tap = 0; tap < job.taps; ++tap) {
          for (std::int64_t p = 0; p < pixels; ++p)
            pointers[tap * pixels + p] = input_row(reader, zeros, tap, p0 + p);
        }
      }
      const std::int64_t taps = gathered ? 1 : job.taps;
      const std::int64_t channels = gathered ? plan.depth : job.channels;
      const float* dy = job.dy + p0 * job.dy_pitch;
      if (width == kPanel) {
        accumulate_chunk<kVectors>(job, pointers, pixels, taps, channels, panel, packed_dy, dy, acc);
      } else {
        accumulate_chunk<1>(job, pointers, pixels, taps, channels, panel, packed_dy, dy, acc);
      }
    }
  });
  stream.parallel_for(plan.panels, [&](std::int64_t panel, int) {
    emit(panel, plan.slices, accumulators + panel * kPanel * plan.depth, plan.accumulator_floats);
  });
}

}  // namespace mg::MG_ISA
