// The gradient of a convolution's or linear layer's weights: dw[tap][c][k] = sum over pixels of
// x[pixel * stride + tap][c] * dy[pixel][k]. Rows of the product are (tap, c), one flat axis; the reduction
// runs over pixels, cut into slices by shape, which a second kernel sums in order.
#include "kernels/conv3d.h"

#include "kernels/cuda/gather_matmul.cuh"
#include "kernels/cuda/vendor.h"

namespace mg {

namespace cuda {

namespace {

template <class Math, int kTileN>
inline constexpr int kBackwardWeightSlot =
    tile_bytes<typename Math::Elem>(false, kTileM) + tile_bytes<typename Math::Elem>(false, kTileN);

// Where the pixels of the next steps lie, decoded by one warp a step: four threads that each decoded their
// own cost more than the products. Entry s % 2 is of step s.
template <class Elem>
struct PixelRing {
  Row row[2][kTileK<Elem>];
  // Pixels first .. of a step, empty from `end` on. Warps take turns.
  __device__ __forceinline__ void decode(const Gather& g, int step, int first, int end) {
    const int lane = threadIdx.x & 31;
    if (static_cast<int>(threadIdx.x >> 5) != (step & 3) || lane >= kTileK<Elem>) return;
    row[step & 1][lane] = first + lane < end ? decode_row(g, g.phase[0], first + lane) : Row{0, 0u};
  }
};

// Copies a thread's chunk of (tap, c) from the pixels of a step into a tile by columns. kNarrow: of two taps
// of four channels.
template <class Elem, bool kNarrow>
class ColumnLoader {
  static constexpr int kChunks = kTileM / kChunk<Elem>, kRows = kThreads / kChunks;
  static constexpr int kTaps = kNarrow ? 2 : 1;
  static constexpr int kPitch = column_pitch<Elem>(kTileM);

 public:
  __device__ __forceinline__ ColumnLoader(const Gather& g, int first_m) {
    const Phase& p = g.phase[0];
    const int chunk = threadIdx.x % kChunks, m = first_m + chunk * kChunk<Elem>;
    row_ = threadIdx.x / kChunks;
    to_ = row_ * kPitch + chunk * 16;
    channel_ = m % g.channels;
#pragma unroll
    for (int i = 0; i < kTaps; ++i) {
      Tap tap;
      tap.start(g, p, m / g.channels + i);
      pixels_[i] = tap.pixels;
      bits_[i] = tap.bits;
    }
  }
  __device__ __forceinline__ void load(const Gather& g, const Elem* x, const Row* rows,
                                       std::uint32_t tile) const {
#pragma unroll
    for (int i = 0; i < kTileK<Elem>; i += kRows) {
      const Row r = rows[row_ + i];
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
        const Elem* from = x + static_cast<std::int64_t>(r.pixel + pixels_[t]) * g.source_pitch + channel_;
        copy_async<16 / kTaps>(tile + to_ + i * kPitch + t * 8, from, (r.mask & bits_[t]) == bits_[t]);
      }
    }
  }

 private:
  int row_, channel_, pixels_[kTaps];
  std::uint32_t to_, bits_[kTaps];
};

// Block (tile of kTileM rows (tap, c) and kTileN channels k, channels fastest; slice of the pixels). x:
// [pixels of the source] at g.source_pitch; dy: [pixels] at dy_pitch, of w_pitch channels; partial:
// [slices][taps * g.channels][w_pitch]. Shared: kStages of x and dy, both by columns; then the finished tile.
template <class Math, int kTileN, bool kNarrow>
__global__ void __launch_bounds__(kThreads, 2)
    conv3d_backward_weight_kernel(const __grid_constant__ Gather g, const typename Math::Elem* __restrict__ x,
                                  const typename Math::Elem* __restrict__ dy, int dy_pitch, int w_pitch,
                                  int slice_steps, float* __restrict__ partial) {
  using Elem = typename Math::Elem;
  constexpr int kTileBytesA = tile_bytes<Elem>(false, kTileM), kSteps = kTileK<Elem>;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ PixelRing<Elem> ring;
  const int lane = threadIdx.x & 31, warp_m = threadIdx.x >> 6, warp_n = threadIdx.x >> 5 & 1;
  const int tiles_n = ceil_div(w_pitch, kTileN), first_n = static_cast<int>(blockIdx.x) % tiles_n * kTileN;
  const int first_m = static_cast<int>(blockIdx.x) / tiles_n * kTileM,
            rows_m = g.phase[0].tap_count() * g.channels;
  const int begin = static_cast<int>(blockIdx.y) * slice_steps * kSteps;
  const int end = min(g.phase[0].rows, begin + slice_steps * kSteps);
  const ColumnLoader<Elem, kNarrow> columns(g, first_m);
  const PanelLoader<Elem, kTileN> gradient(dy, dy_pitch, w_pitch, first_n);
  const std::uint32_t base = shared_address(shared);
  int step = 0;
  auto load = [&](int slot) {
    // The first steps are decoded on the spot. Later, step s is decoded in the iteration before the one that
    // copies it: a barrier lies between.
    if (step < kStages) {
      ring.decode(g, step, begin + step * kSteps, end);
      __syncthreads();
    }
    const std::uint32_t at = base + slot * kBackwardWeightSlot<Math, kTileN>;
    columns.load(g, x, ring.row[step & 1], at);
    gradient.load(at + kTileBytesA, begin + step * kSteps, end);
    ++step;
  };
  const bool live = first_m + warp_m * 64 < rows_m && first_n + warp_n * (kTileN / 2) < w_pitch;
  WarpTile<Math, kTileN, false, false> sums;
  run_pipeline(ceil_div(end - begin, kSteps), load, [&](int i, int slot) {
    // Step i + kStages - 1 is being copied in this iteration, from the ring's other entry.
    ring.decode(g, i + kStages, begin + (i + kStages) * kSteps, end);
    const std::uint32_t at = base + slot * kBackwardWeightSlot<Math, kTileN>;
    if (live) sums.multiply(at, at + kTileBytesA, warp_m, warp_n, lane, end - begin - i * kSteps);
  });
  auto* stage = reinterpret_cast<float*>(shared);
  sums.store(stage, warp_m, warp_n, lane);
  __syncthreads();
  constexpr int kQuads = kTileN / 4;
  float* out = partial + static_cast<std::int64_t>(blockIdx.y) * rows_m * w_pitch;
  for (int i = threadIdx.x; i < kTileM * kQuads; i += kThreads) {
    const int m = i / kQuads, n = i % kQuads * 4;
    if (first_m + m < rows_m && first_n + n < w_pitch) {
      *reinterpret_cast<float4*>(out + static_cast<std::int64_t>(first_m + m) * w_pitch + first_n + n) =
          *reinterpret_cast<const float4*>(stage + m * kStagePitch<kTileN> + n);
    }
  }
}

// Slices of the reduction, by shape alone, so that results do not depend on the device: about two blocks for
// each of an H100's 132 multiprocessors, at least 8 steps a slice.
struct Slices {
  int steps, count;
};
Slices cut_slices(std::int64_t tiles, int pixels, int pixels_a_step) {
  const int all = ceil_div(pixels, pixels_a_step);
  const int wanted = static_cast<int>(std::max<std::int64_t>(1, 264 / tiles));
  const int steps = std::max(8, ceil_div(all, wanted));
  return {steps, std::max(1, ceil_div(all, steps))};
}

template <class Math, int kTileN, bool kNarrow>
void launch_backward_weight(CudaStream& stream, const BackwardWeightMatmul& job, const View& dw) {
  using Elem = typename Math::Elem;
  const int tiles =
      static_cast<int>(ceil_div(job.shape.rows(), kTileM)) * ceil_div(job.shape.output_pitch, kTileN);
  const Slices slices = cut_slices(tiles, job.gather.phase[0].rows, kTileK<Elem>);
  auto* partial = static_cast<float*>(stream.workspace(
      kPartial,
      static_cast<std::size_t>(slices.count * job.shape.rows() * job.shape.output_pitch) * sizeof(float)));
  launch(stream, "conv3d_backward_weight_kernel", conv3d_backward_weight_kernel<Math, kTileN, kNarrow>,
         dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(slices.count)), kThreads,
         static_cast<std::size_t>(std::max(kStages * kBackwardWeightSlot<Math, kTileN>, kStageBytes<kTileN>)),
         job.gather, data<Elem>(job.x), data<Elem>(job.dy), job.dy.pitch, job.shape.output_pitch,
         slices.steps, partial);
  sum_slices(stream, partial, slices.count, job.shape, dw);
}

}  // namespace

void backward_weight_matmul(CudaStream& stream, const BackwardWeightMatmul& job, const View& dw) {
  with_math(stream, job.dy.dtype, [&](auto math) {
    using Math = decltype(math);
    if constexpr (std::is_same_v<Math, MathBF16>) {
      if (job.narrow) return launch_backward_weight<Math, 48, true>(stream, job, dw);
    }
    const int n = pick_tile_n<Math>(job.shape.output_pitch, 264);
    with_tile_n<Math>(n, [&](auto width) { launch_backward_weight<Math, width(), false>(stream, job, dw); });
  });
}

}  // namespace cuda

void conv3d_backward_weight(const Conv3dBackwardWeight& args, CudaStream& stream) {
  using namespace cuda;
  if (stream.vendor() && vendor_conv3d_backward_weight(args, stream)) return;
  const DType type = args.x.dtype;
  BackwardWeightMatmul job;
  const std::int64_t taps = args.dw.shape[2] * args.dw.shape[3] * args.dw.shape[4];
  job.narrow = is_narrow(type, args.x.channels(), taps);
  job.gather = forward_gather(args.x.shape, args.dy.shape, args.geometry);
  const int chunk = job.narrow ? 4 : chunk_of(type);
  job.gather.channels = static_cast<int>(round_up(args.x.channels(), chunk));
  job.shape = packed_shape(args.dw.shape, job.gather.channels, chunk_of(type));
  job.x =
      readable_rows(stream, kSource, args.x, job.gather.channels, chunk * static_cast<int>(size_of(type)));
  job.dy = readable_rows(stream, kGradient, args.dy, job.shape.output_pitch, 16);
  job.gather.source_pitch = static_cast<int>(job.x.pitch);
  backward_weight_matmul(stream, job, args.dw);
}

}  // namespace mg
