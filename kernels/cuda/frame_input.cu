// Stored frames to a network's input. A block takes a few rows of one output frame; for each, the one or two
// rows of the stored frame that it is made of are staged in shared memory by 16-byte reads, and the pixels'
// three values spread over the warp so that it writes whole lines. Resampling is exact up to its last
// rounding: data/frame_resize.h's taps.
#include "kernels/frame_input.h"

#include "kernels/cuda/rows.cuh"

namespace mg {

namespace {

using namespace cuda;

constexpr int kThreads = 128;
constexpr int kBlockRows = 8;  // rows of the output a block

struct Geometry {
  int frames, height, width;  // of the output
  int stored_height, stored_width;
  int row_blocks;      // to a frame
  std::int64_t bytes;  // of all stored frames
  double scale;        // one over the product of the taps' denominators
  std::int64_t row_bytes() const { return round_up(3 * static_cast<std::int64_t>(stored_width) + 15, 16); }
};

// Between which two of `in` numbers output i of `out` lies: first and first + 1, weights over 2 * out. The
// last pair serves the end too.
struct Tap {
  int first, weight, next_weight;
};
__device__ __forceinline__ Tap tap(int in, int out, int i) {
  const int denominator = 2 * out, last = denominator * (in - 1);
  const int place = min(max((2 * i + 1) * in - out, 0), last);
  const int first = min(place / denominator, max(in - 2, 0)), next = place - first * denominator;
  return {first, denominator - next, next};
}

__device__ __forceinline__ int misaligned(const std::uint8_t* p) {
  return static_cast<int>(reinterpret_cast<std::uintptr_t>(p) % 16);
}

// Stages bytes [begin, begin + count) of the frames; the first comes to lie at misaligned(frames + begin).
__device__ __forceinline__ void stage(uint4* shared, const std::uint8_t* frames, std::int64_t begin,
                                      int count, std::int64_t bytes) {
  const int before = misaligned(frames + begin);
  for (int i = static_cast<int>(threadIdx.x); i * 16 < before + count; i += kThreads) {
    const std::int64_t at = begin - before + i * 16;
    if (at >= 0 && at + 16 <= bytes) {
      shared[i] = *reinterpret_cast<const uint4*>(frames + at);
    } else {
      for (int j = 0; j < 16; ++j) {
        if (at + j >= 0 && at + j < bytes) reinterpret_cast<std::uint8_t*>(shared + i)[j] = frames[at + j];
      }
    }
  }
}

// v * scale + shift as two roundings, as the data pipeline on the processor computes it.
__device__ __forceinline__ float scaled(float v, float scale, float shift) {
  return __fadd_rn(__fmul_rn(v, scale), shift);
}
__device__ __forceinline__ float clamped(float v) { return fminf(fmaxf(v, 0.0f), 255.0f); }

// Calls f(row, first column of the warp, values) for each row of the output that is this block's: every
// thread of a warp with the pixel at its lane, brightness applied and mirrored (0 past the end of the row).
// staged: dynamic shared memory, two stored rows. Block: kBlockRows rows of frame blockIdx.x / row_blocks,
// counted over all samples.
template <class F>
__device__ __forceinline__ void for_each_pixel(const Geometry& g, const std::uint8_t* frames,
                                               const FrameView& view, uint4* staged, std::int64_t row_uint4s,
                                               F f) {
  const std::int64_t frame = blockIdx.x / static_cast<unsigned>(g.row_blocks);
  const int y0 = static_cast<int>(blockIdx.x % static_cast<unsigned>(g.row_blocks)) * kBlockRows;
  const bool resampled = view.height != g.height || view.width != g.width;
  const std::int64_t stored_row = 3 * static_cast<std::int64_t>(g.stored_width);
  const std::int64_t corner = frame * g.stored_height * stored_row + view.top * stored_row + 3 * view.left;
  int held[2] = {-1, -1};  // rows of the crop that lie in the two places: row r in place r % 2
  for (int y = y0; y < min(y0 + kBlockRows, g.height); ++y) {
    const Tap ty = resampled ? tap(view.height, g.height, y) : Tap{y, 1, 0};
    const std::uint8_t *upper = nullptr, *lower = nullptr;
    __syncthreads();  // the row before has been read
    const int last = resampled && view.height > 1 ? ty.first + 1 : ty.first;
    for (int r = ty.first; r <= last; ++r) {
      uint4* place = staged + r % 2 * row_uint4s;
      const std::int64_t begin = corner + r * stored_row;
      if ((r % 2 == 0 ? held[0] : held[1]) != r) stage(place, frames, begin, 3 * view.width, g.bytes);
      (r % 2 == 0 ? held[0] : held[1]) = r;
      lower = reinterpret_cast<const std::uint8_t*>(place) + misaligned(frames + begin);
      if (r == ty.first) upper = lower;
    }
    __syncthreads();
    for (int x0 = static_cast<int>(threadIdx.x) / 32 * 32; x0 < g.width; x0 += kThreads) {
      const int x = x0 + static_cast<int>(threadIdx.x) % 32;
      float values[3] = {};
      if (x < g.width) {
        const int seen = view.flip != 0 ? g.width - 1 - x : x;
        const Tap tx = resampled ? tap(view.width, g.width, seen) : Tap{seen, 1, 0};
        const int here = 3 * tx.first, there = view.width > 1 ? here + 3 : here;
#pragma unroll
        for (int c = 0; c < 3; ++c) {
          float value = upper[here + c];
          if (resampled) {
            const int left = ty.weight * upper[here + c] + ty.next_weight * lower[here + c];
            const int right = ty.weight * upper[there + c] + ty.next_weight * lower[there + c];
            // In double every product and sum is exact: one rounding.
            value = static_cast<float>(
                (static_cast<double>(tx.weight) * left + static_cast<double>(tx.next_weight) * right) *
                g.scale);
          }
          values[c] = clamped(value * view.brightness);
        }
      }
      f(frame * g.height + y, x0, values);
    }
  }
}

// sums: [blocks]: of the values that contrast turns about a mean of. Eight blocks a multiprocessor: left to
// itself, the compiler takes 40 registers and spills one.
__global__ void __launch_bounds__(kThreads, 8)
    frame_sums_kernel(Geometry g, std::int64_t row_uint4s, const std::uint8_t* frames, const FrameView* views,
                      double* sums) {
  extern __shared__ uint4 staged[];
  __shared__ double shared[kThreads];
  const FrameView view =
      views[blockIdx.x / (static_cast<unsigned>(g.row_blocks) * static_cast<unsigned>(g.frames))];
  float sum = 0;  // of some tens of values at most
  for_each_pixel(g, frames, view, staged, row_uint4s, [&](std::int64_t, int, const float(&values)[3]) {
    sum += values[0] + values[1] + values[2];  // 0 past the end of a row
  });
  const int thread = static_cast<int>(threadIdx.x);
  shared[thread] = static_cast<double>(sum);
  for (int step = kThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (thread < step) shared[thread] += shared[thread + step];
  }
  if (thread == 0) sums[blockIdx.x] = shared[0];
}

// Block: a sample, whose blocks' sums are added. means: [samples].
__global__ void __launch_bounds__(kThreads)
    frame_means_kernel(const double* sums, int blocks, double count, float* means) {
  __shared__ double shared[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  double sum = 0;
  for (int i = thread; i < blocks; i += kThreads)
    sum += sums[blockIdx.x * static_cast<std::int64_t>(blocks) + i];
  shared[thread] = sum;
  for (int step = kThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (thread < step) shared[thread] += shared[thread + step];
  }
  if (thread == 0) means[blockIdx.x] = static_cast<float>(shared[0] / count);
}

struct Normalization {
  float scale[3], shift[3];
};

// The warp's pixels (row, x0 ..): lanes take pieces of kWidth elements one after the other, of which the
// first of each pixel holds its values; the rest is padding.
template <int kWidth, class Elem>
__device__ __forceinline__ void write_pixels(Rows<Elem> y, std::int64_t row, int x0, int width,
                                             const float (&values)[3]) {
  const int lane = static_cast<int>(threadIdx.x) % 32, pieces = static_cast<int>(y.pitch) / kWidth;
  for (int s = 0; s < pieces; ++s) {
    const int pixel = (s * 32 + lane) / pieces, piece = (s * 32 + lane) % pieces;
    float out[kWidth] = {};
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      const float value = __shfl_sync(0xffffffffu, values[c], pixel);
      if constexpr (kWidth == 1) {
        if (piece == c) out[0] = value;
      } else {
        if (piece == 0) out[c] = value;
      }
    }
    if (x0 + pixel < width) store_chunk(y.at(row * width + x0 + pixel, piece * kWidth), out);
  }
}

// y: [samples, frames, height, width, 3]. frames: u8 [samples, frames, stored height, stored width, 3].
// means: [samples], null without contrast.
template <int kWidth, class Elem>
__global__ void __launch_bounds__(kThreads)
    frame_input_kernel(Geometry g, std::int64_t row_uint4s, Rows<Elem> y, const std::uint8_t* frames,
                       const FrameView* views, const float* means, Normalization n) {
  extern __shared__ uint4 staged[];
  const unsigned sample =
      blockIdx.x / (static_cast<unsigned>(g.row_blocks) * static_cast<unsigned>(g.frames));
  const FrameView view = views[sample];
  const float turn = means != nullptr ? means[sample] * (1 - view.contrast) : 0.0f;
  for_each_pixel(g, frames, view, staged, row_uint4s, [&](std::int64_t row, int x0, float(&values)[3]) {
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      if (means != nullptr) values[c] = clamped(scaled(values[c], view.contrast, turn));
      values[c] = scaled(values[c], n.scale[c], n.shift[c]);
    }
    write_pixels<kWidth>(y, row, x0, g.width, values);
  });
}

}  // namespace

void frame_input(const FrameInput& args, CudaStream& stream) {
  const Shape &out = args.y.shape, &in = args.frames.shape;
  Geometry g{};
  g.frames = static_cast<int>(out[1]);
  g.height = static_cast<int>(out[2]);
  g.width = static_cast<int>(out[3]);
  g.stored_height = static_cast<int>(in[2]);
  g.stored_width = static_cast<int>(in[3]);
  g.row_blocks = ceil_div(g.height, kBlockRows);
  g.bytes = in.count();
  g.scale = 1 / (4.0 * g.height * g.width);
  const std::int64_t samples = out[0], blocks_a_sample = static_cast<std::int64_t>(g.frames) * g.row_blocks;
  const auto blocks = static_cast<unsigned>(samples * blocks_a_sample);
  const auto shared_bytes = static_cast<std::size_t>(2 * g.row_bytes());
  const auto* frames = static_cast<const std::uint8_t*>(args.frames.data);
  float* means = nullptr;
  if (args.any_contrast) {
    auto* sums = static_cast<double*>(stream.workspace(0, blocks * sizeof(double)));
    means = static_cast<float*>(stream.workspace(1, static_cast<std::size_t>(samples) * sizeof(float)));
    launch(stream, "frame_sums_kernel", frame_sums_kernel, blocks, kThreads, shared_bytes, g,
           g.row_bytes() / 16, frames, args.views, sums);
    launch(stream, "frame_means_kernel", frame_means_kernel, static_cast<unsigned>(samples), kThreads, 0,
           sums, blocks_a_sample, static_cast<double>(3 * out.rows() / std::max<std::int64_t>(1, samples)),
           means);
  }
  Normalization n{};
  for (int c = 0; c < 3; ++c) {
    n.scale[c] = args.scale[c];
    n.shift[c] = args.shift[c];
  }
  with_elem(args.y.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          launch(stream, "frame_input_kernel", frame_input_kernel<width(), Elem>, blocks, kThreads,
                 shared_bytes, g, g.row_bytes() / 16, rows_of<Elem>(args.y), frames, args.views, means, n);
        },
        args.y);
  });
}

}  // namespace mg
