// A convolution as a gather. Row i of the matrix product is a point (n, t, h, w) of a grid. It reads the
// source at point * mul + shift + tap for each tap and writes the destination at point * step + first.
// Forward has one phase with mul = stride. Backward-data has a phase for each residue of the input coordinate
// modulo the stride, with the taps that reach it, so that no product with a structural zero is formed. A
// linear layer is the 1x1x1 convolution of a line of pixels. Everything is separable by axis: a row keeps a
// bit for each coordinate of the kernel that stays inside, so that a tap is inside when its three bits are
// set.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/conv3d.h"
#include "kernels/cuda/fast_divide.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tile.cuh"

namespace mg::cuda {

struct Phase {
  int first_tile = 0, rows = 0;      // tiles and rows of the product
  int points[3] = {}, taps[3] = {};  // extents of the grid and of the taps: t, h, w
  int shift[3] = {}, first[3] = {};  // of the source's and of the destination's coordinates
  int weight = 0,
      weight_step[3] = {};  // index of tap (0, 0, 0) in the kernel, and how it grows along each axis
  FastDivide by_points[3];
  __host__ __device__ int tap_count() const { return taps[0] * taps[1] * taps[2]; }
};

inline constexpr int kMaxPhases = 27;
inline constexpr int kMaxTapBits = 31;  // kernel extents together

struct Gather {
  int source[3] = {}, mul[3] = {};     // extents of the source: t, h, w
  int source_pitch = 0, channels = 0;  // elements; channels: those of the reduction, whole chunks
  int destination[3] = {}, step[3] = {};
  int phases = 0;
  Phase phase[kMaxPhases];
};

// Where a row reads: the pixel of tap (0, 0, 0), maybe outside, and the bits of its taps.
struct Row {
  int pixel;
  std::uint32_t mask;
};
// Bits u of 0 .. taps - 1 with 0 <= at + u < extent.
__device__ __forceinline__ std::uint32_t inside_bits(int at, int taps, int extent) {
  const int begin = min(max(0, -at), taps), end = max(min(taps, extent - at), 0);
  return ((1u << end) - 1) & ~((1u << begin) - 1);
}
__device__ __forceinline__ Row decode_row(const Gather& g, const Phase& p, int row,
                                          int* destination = nullptr) {
  const int line = p.by_points[2](row), x = row - line * p.points[2];
  const int frame = p.by_points[1](line), y = line - frame * p.points[1];
  const int n = p.by_points[0](frame), t = frame - n * p.points[0];
  if (destination != nullptr) {
    *destination = ((n * g.destination[0] + t * g.step[0] + p.first[0]) * g.destination[1] + y * g.step[1] +
                    p.first[1]) *
                       g.destination[2] +
                   x * g.step[2] + p.first[2];
  }
  const int st = t * g.mul[0] + p.shift[0], sy = y * g.mul[1] + p.shift[1], sx = x * g.mul[2] + p.shift[2];
  const std::uint32_t mask = inside_bits(st, p.taps[0], g.source[0]) |
                             inside_bits(sy, p.taps[1], g.source[1]) << p.taps[0] |
                             inside_bits(sx, p.taps[2], g.source[2]) << (p.taps[0] + p.taps[1]);
  return {((n * g.source[0] + st) * g.source[1] + sy) * g.source[2] + sx, mask};
}

// A tap: how many pixels of the source it is away from tap (0, 0, 0), and its bits in a row's mask.
struct Tap {
  int i, j, l, pixels;
  std::uint32_t bits;
  __device__ __forceinline__ void place(const Gather& g, const Phase& p) {
    pixels = (i * g.source[1] + j) * g.source[2] + l;
    // Behind the last tap: a word that is never a part of a mask, which has kMaxTapBits bits.
    bits = i < p.taps[0] ? 1u << i | 1u << (p.taps[0] + j) | 1u << (p.taps[0] + p.taps[1] + l) : ~0u;
  }
  __device__ __forceinline__ void start(const Gather& g, const Phase& p, int tap) {
    l = tap % p.taps[2];
    const int line = tap / p.taps[2];
    j = line % p.taps[1];
    i = line / p.taps[1];
    place(g, p);
  }
  __device__ __forceinline__ void next(const Gather& g, const Phase& p) {
    if (++l == p.taps[2]) {
      l = 0;
      if (++j == p.taps[1]) {
        j = 0;
        ++i;
      }
    }
    place(g, p);
  }
  __device__ __forceinline__ bool inside(std::uint32_t mask) const { return (mask & bits) == bits; }
  __device__ __forceinline__ bool valid(const Phase& p) const { return i < p.taps[0]; }
  __device__ __forceinline__ int weight(const Phase& p) const {
    return p.weight + i * p.weight_step[0] + j * p.weight_step[1] + l * p.weight_step[2];
  }
};

// The rows of a block's tile. Rows behind the end have an empty mask (they read zeros) and no destination
// (-1).
struct RowTable {
  int pixel[kTileM];
  std::uint32_t mask[kTileM];
  int destination[kTileM];
  // By all kThreads == kTileM threads.
  __device__ __forceinline__ void fill(const Gather& g, const Phase& p, int tile) {
    const int row = tile * kTileM + static_cast<int>(threadIdx.x);
    Row r{0, 0u};
    int to = -1;
    if (row < p.rows) r = decode_row(g, p, row, &to);
    pixel[threadIdx.x] = r.pixel;
    mask[threadIdx.x] = r.mask;
    destination[threadIdx.x] = to;
    __syncthreads();
  }
};

// Fills a tile by rows with the source. The reduction runs over blocks of kTileK channels, in each over the
// taps, in each over the block's channels: neighbouring taps read the same few kilobytes one after another,
// from L1. The last block may be narrower; then a step holds several taps. A thread copies the same 16-byte
// chunk of a step each time, into rows threadIdx.x / 4 + 32 i. kNarrow: pixels of four bf16 elements, two
// taps a chunk.
template <class Elem, bool kNarrow = false>
class RowLoader {
  static constexpr int kEach = kNarrow ? 4 : kChunk<Elem>;  // elements of a copy

 public:
  __device__ __forceinline__ RowLoader(const Gather& g, const Phase& p, const RowTable& rows) {
    const int first = threadIdx.x >> 2, chunk = threadIdx.x & 3;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      pixel_[i] = rows.pixel[first + i * 32];
      mask_[i] = rows.mask[first + i * 32];
    }
    to_ = row_tile_offset(first, chunk);
    block_ = 0;
    channel_ = chunk * kChunk<Elem>;
    tap_ = {};
    tap_.place(g, p);
    wrap(g, p);
  }
  __device__ __forceinline__ void load(const Gather& g, const Phase& p, const Elem* source,
                                       std::uint32_t tile) {
    copy(g, source, tile);
    if constexpr (kNarrow) {
      tap_.next(g, p);
      copy(g, source, tile + 8);
      channel_ -= g.channels;
    }
    channel_ += kTileK<Elem>;
    wrap(g, p);
  }
  __device__ __forceinline__ const Tap& tap() const { return tap_; }
  __device__ __forceinline__ int channel() const { return channel_; }
  __device__ __forceinline__ std::uint32_t offset() const { return to_; }  // of its chunk in a tile by rows

 private:
  __device__ __forceinline__ void wrap(const Gather& g, const Phase& p) {
    while (channel_ >= min(block_ + kTileK<Elem>, g.channels) && tap_.valid(p)) {
      channel_ -= min(kTileK<Elem>, g.channels - block_);
      tap_.next(g, p);
      if (!tap_.valid(p) && block_ + kTileK<Elem> < g.channels) {
        block_ += kTileK<Elem>;
        channel_ += kTileK<Elem>;
        tap_ = {};
        tap_.place(g, p);
      }
    }
  }
  __device__ __forceinline__ void copy(const Gather& g, const Elem* source, std::uint32_t tile) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Elem* from = source + static_cast<std::int64_t>(pixel_[i] + tap_.pixels) * g.source_pitch +
                         (kNarrow ? 0 : channel_);
      copy_async<kEach* static_cast<int>(sizeof(Elem))>(tile + to_ + i * 32 * kTileBytesK, from,
                                                        tap_.inside(mask_[i]));
    }
  }

  int pixel_[4], block_, channel_;  // block_: first channel of the block
  std::uint32_t mask_[4], to_;
  Tap tap_;
};

// The gathers of a convolution whose rows are x [N T H W] and y, and of a linear layer. channels and pitch of
// the source are set by the launcher. CudaError when extents are beyond 2^31 pixels or kMaxTapBits.
Gather forward_gather(const Shape& x, const Shape& y, const Conv3dGeometry& geometry);
Gather linear_gather(std::int64_t rows);
// At most kMaxPhases phases each, those with the most taps first, so that the last wave is short.
std::vector<Gather> backward_data_gathers(const Shape& x, const Shape& y, const Conv3dGeometry& geometry);

}  // namespace mg::cuda
