// Convolution and linear layers forward as an implicit matrix product: y[pixel][k] = sum over (tap, c), one
// flat axis, of x[pixel * stride + tap][c] * w[tap][c][k].
#include "kernels/conv3d.h"

#include "kernels/cuda/gather_matmul.cuh"
#include "kernels/cuda/vendor.h"

namespace mg {

namespace cuda {

namespace {

template <class Math, int kTileN>
inline constexpr int kForwardSlot =
    tile_bytes<typename Math::Elem>(true, kTileM) + tile_bytes<typename Math::Elem>(false, kTileN);

// Block x: tile of kTileM pixels and kTileN channels of y, channels fastest, so that neighbours share x. x:
// [pixels of the source] at g.source_pitch; w: [taps * g.channels][w_pitch] in
// the loader's order. Shared: kStages of x by rows and
// w by columns; then the finished tile.
template <class Math, int kTileN, bool kNarrow>
__global__ void __launch_bounds__(kThreads, 2)
    conv3d_forward_kernel(const __grid_constant__ Gather g, const typename Math::Elem* __restrict__ x,
                          const typename Math::Elem* __restrict__ w, int w_pitch,
                          const __grid_constant__ TileOutput<typename Math::Elem> out) {
  using Elem = typename Math::Elem;
  constexpr int kTileBytesA = tile_bytes<Elem>(true, kTileM);
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ RowTable rows;
  const Phase& p = g.phase[0];
  const int lane = threadIdx.x & 31, warp_m = threadIdx.x >> 6, warp_n = threadIdx.x >> 5 & 1;
  const int tiles_n = ceil_div(out.channels, kTileN), tile = static_cast<int>(blockIdx.x) / tiles_n;
  const int first_n = static_cast<int>(blockIdx.x) % tiles_n * kTileN, depth = p.tap_count() * g.channels;
  rows.fill(g, p, tile);
  RowLoader<Elem, kNarrow> loader(g, p, rows);
  const PanelLoader<Elem, kTileN> weights(w, w_pitch, w_pitch, first_n);
  const std::uint32_t base = shared_address(shared);
  int k = 0;
  auto load = [&](int slot) {
    const std::uint32_t at = base + slot * kForwardSlot<Math, kTileN>;
    loader.load(g, p, x, at);
    weights.load(at + kTileBytesA, k, depth);
    k += kTileK<Elem>;
  };
  // Tensor cores are not fed with rows or columns that do not exist: 64 x kTileN / 2 of them at a time.
  const bool live = tile * kTileM + warp_m * 64 < p.rows && first_n + warp_n * (kTileN / 2) < out.channels;
  WarpTile<Math, kTileN, true, false> sums;
  run_pipeline(ceil_div(depth, kTileK<Elem>), load, [&](int step, int slot) {
    const std::uint32_t at = base + slot * kForwardSlot<Math, kTileN>;
    if (live) sums.multiply(at, at + kTileBytesA, warp_m, warp_n, lane, depth - step * kTileK<Elem>);
  });
  auto* stage = reinterpret_cast<float*>(shared);
  sums.store(stage, warp_m, warp_n, lane);
  __syncthreads();
  store_tile<kTileN>(out, stage, rows, first_n, tile, min(kTileM, p.rows - tile * kTileM));
}

constexpr int kStrands = 64;

// From the moments of row tiles, [tiles][kMoments][channels], to statistics, in double and in a fixed order:
// first the mean, then the deviations of the tiles' means from it (Chan, Golub and LeVeque 1979). Block: 8
// channels by 64 strands of tiles. Shared: a number a thread.
__global__ void __launch_bounds__(8 * kStrands)
    conv3d_statistics_kernel(const float* __restrict__ moments, int tiles, int rows, int channels,
                             BatchStatistics out) {
  __shared__ double parts[kStrands / 4][8];
  const int column = threadIdx.x & 7, strand = threadIdx.x >> 3,
            c = static_cast<int>(blockIdx.x) * 8 + column;
  auto sum_tiles = [&](auto term) {  // of term(mean, squares, rows of the tile), over all tiles
    double sum = 0;
    if (c < channels) {
      for (int i = strand; i < tiles; i += kStrands) {
        const float* from = moments + static_cast<std::int64_t>(i) * kMoments * channels + c;
        sum += term(static_cast<double>(from[0]) + from[channels], static_cast<double>(from[2 * channels]),
                    min(kTileM, rows - i * kTileM));
      }
    }
    for (int d = 8; d < 32; d *= 2)
      sum += __shfl_xor_sync(0xffffffffu, sum, d);  // the four strands of a warp
    if (strand % 4 == 0) parts[strand / 4][column] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < kStrands / 4; ++i) sum += parts[i][column];
    __syncthreads();
    return sum;
  };
  const double mean = sum_tiles([](double m, double, int count) { return m * count; }) / rows;
  const double squares =
      sum_tiles([mean](double m, double s, int count) { return s + (m - mean) * (m - mean) * count; });
  if (strand != 0 || c >= channels) return;
  out.mean[c] = static_cast<float>(mean);
  out.variance[c] = static_cast<float>(squares / rows);
  if (out.running_mean != nullptr) update_running(out, c, mean, squares / max(1, rows - 1));
}

template <class Math, int kTileN, bool kNarrow>
void launch_forward(CudaStream& stream, const ForwardMatmul& job,
                    const TileOutput<typename Math::Elem>& out) {
  using Elem = typename Math::Elem;
  const int tiles = ceil_div(job.gather.phase[0].rows, kTileM) * ceil_div(out.channels, kTileN);
  launch(stream, "conv3d_forward_kernel", conv3d_forward_kernel<Math, kTileN, kNarrow>,
         dim3(static_cast<unsigned>(tiles)), kThreads,
         static_cast<std::size_t>(std::max(kStages * kForwardSlot<Math, kTileN>, kStageBytes<kTileN>)),
         job.gather, data<Elem>(job.x), static_cast<const Elem*>(job.w), job.w_pitch, out);
}

}  // namespace

void forward_matmul(CudaStream& stream, const ForwardMatmul& job, const View& y, const Epilogue& epilogue,
                    const View& pre, float* moments) {
  if (y.rows() == 0) return;
  with_math(stream, y.dtype, [&](auto math) {
    using Math = decltype(math);
    auto out = tile_output<typename Math::Elem>(y, epilogue, pre);
    out.moments = moments;
    if constexpr (std::is_same_v<Math, MathBF16>) {
      if (job.narrow) return launch_forward<Math, 48, true>(stream, job, out);
    }
    const int n = pick_tile_n<Math>(out.channels, ceil_div(y.rows(), kTileM));
    with_tile_n<Math>(n, [&](auto width) { launch_forward<Math, width(), false>(stream, job, out); });
  });
}

}  // namespace cuda

void conv3d_forward(const Conv3dForward& args, CudaStream& stream) {
  using namespace cuda;
  if (stream.vendor() && vendor_conv3d_forward(args, stream)) return;
  const DType type = args.x.dtype;
  const std::int64_t taps = args.w.shape[2] * args.w.shape[3] * args.w.shape[4];
  ForwardMatmul job;
  job.narrow = is_narrow(type, args.x.channels(), taps);
  job.gather = forward_gather(args.x.shape, args.y.shape, args.geometry);
  const int chunk = job.narrow ? 4 : chunk_of(type);
  job.gather.channels = static_cast<int>(round_up(args.x.channels(), chunk));
  job.x = readable_rows(stream, kSource, args.x, job.gather.channels, chunk * static_cast<int>(size_of(type)),
                        args.input);
  job.gather.source_pitch = static_cast<int>(job.x.pitch);
  const PackedShape shape = packed_shape(args.w.shape, job.gather.channels, chunk_of(type),
                                         kTileBytesK / static_cast<int>(size_of(type)));
  job.w = pack_weights(stream, args.w, shape, type);
  job.w_pitch = shape.output_pitch;
  const bool statistics = args.statistics.mean != nullptr;
  const int channels = static_cast<int>(args.y.channels());
  const auto tiles = static_cast<int>(ceil_div(args.y.rows(), kTileM));
  float* moments = nullptr;
  if (statistics) {
    moments = static_cast<float*>(stream.workspace(
        kPartial, static_cast<std::size_t>(tiles) * kMoments * static_cast<std::size_t>(channels) * 4));
  }
  forward_matmul(stream, job, args.y, args.epilogue, {}, moments);
  if (!statistics) return;
  launch(stream, "conv3d_statistics_kernel", conv3d_statistics_kernel,
         dim3(static_cast<unsigned>(ceil_div(channels, 8))), 8 * kStrands, 0, moments, tiles, args.y.rows(),
         channels, args.statistics);
}

}  // namespace mg
