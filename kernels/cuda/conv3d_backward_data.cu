// The gradient of a convolution's or linear layer's input: dx[pixel][c] = sum over the taps that reach the
// pixel and over k of dy[...][k] * w[tap][c][k]. The forward pass's packed weights, with c as the row: both
// operands have the reduction contiguous.
#include "kernels/conv3d.h"

#include "kernels/cuda/gather_matmul.cuh"
#include "kernels/cuda/vendor.h"

namespace mg {

namespace cuda {

namespace {

template <class Math, int kTileN>
inline constexpr int kBackwardDataSlot =
    tile_bytes<typename Math::Elem>(true, kTileM) + tile_bytes<typename Math::Elem>(true, kTileN);

// Block x: tile of kTileM pixels of one phase and kTileN channels of dx, channels fastest. dy: [pixels of the
// source] at g.source_pitch; w: [taps][w_channels][g.channels]. Shared: kStages of dy and w, both by rows;
// then the finished tile.
template <class Math, int kTileN>
__global__ void __launch_bounds__(kThreads, 2)
    conv3d_backward_data_kernel(const __grid_constant__ Gather g, const typename Math::Elem* __restrict__ dy,
                                const typename Math::Elem* __restrict__ w, int w_channels,
                                const __grid_constant__ TileOutput<typename Math::Elem> out) {
  using Elem = typename Math::Elem;
  constexpr int kTileBytesA = tile_bytes<Elem>(true, kTileM);
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ RowTable rows;
  const int lane = threadIdx.x & 31, warp_m = threadIdx.x >> 6, warp_n = threadIdx.x >> 5 & 1;
  const int tiles_n = ceil_div(out.channels, kTileN),
            first_n = static_cast<int>(blockIdx.x) % tiles_n * kTileN;
  int tile = static_cast<int>(blockIdx.x) / tiles_n, which = 0;
  while (which + 1 < g.phases && tile >= g.phase[which + 1].first_tile) ++which;
  const Phase& p = g.phase[which];
  tile -= p.first_tile;
  rows.fill(g, p, tile);
  RowLoader<Elem> loader(g, p, rows);
  const std::uint32_t base = shared_address(shared);
  const int row = static_cast<int>(threadIdx.x) >> 2;
  auto load = [&](int slot) {
    const std::uint32_t at = base + slot * kBackwardDataSlot<Math, kTileN>;
    const Tap& tap = loader.tap();
    const std::int64_t weight = static_cast<std::int64_t>(tap.weight(p)) * w_channels + first_n + row;
    const Elem* from = w + weight * g.channels + loader.channel();
    const int end = tap.valid(p) ? w_channels - first_n : 0;
#pragma unroll
    for (int i = 0; i < kTileN; i += 32) {
      if (row < min(32, kTileN - i)) {
        copy_async_once(at + kTileBytesA + loader.offset() + i * kTileBytesK, from + i * g.channels,
                        row + i < end);
      }
    }
    loader.load(g, p, dy, at);
  };
  const int depth = p.tap_count() * g.channels;
  const bool live = tile * kTileM + warp_m * 64 < p.rows && first_n + warp_n * (kTileN / 2) < out.channels;
  WarpTile<Math, kTileN, true, true> sums;
  run_pipeline(ceil_div(depth, kTileK<Elem>), load, [&](int step, int slot) {
    const std::uint32_t at = base + slot * kBackwardDataSlot<Math, kTileN>;
    if (live) sums.multiply(at, at + kTileBytesA, warp_m, warp_n, lane, depth - step * kTileK<Elem>);
  });
  auto* stage = reinterpret_cast<float*>(shared);
  sums.store(stage, warp_m, warp_n, lane);
  __syncthreads();
  store_tile<kTileN>(out, stage, rows, first_n, tile, min(kTileM, p.rows - tile * kTileM));
}

}  // namespace

void backward_data_matmul(CudaStream& stream, const BackwardDataMatmul& job, const View& dx) {
  with_math(stream, dx.dtype, [&](auto math) {
    using Math = decltype(math);
    using Elem = typename Math::Elem;
    const auto out = tile_output<Elem>(dx);
    for (const Gather& g : job.gathers) {
      const Phase& last = g.phase[g.phases - 1];
      const int row_tiles = last.first_tile + ceil_div(last.rows, kTileM);
      with_tile_n<Math>(pick_tile_n<Math>(out.channels, row_tiles), [&](auto width) {
        constexpr int n = width();
        launch(stream, "conv3d_backward_data_kernel", conv3d_backward_data_kernel<Math, n>,
               dim3(static_cast<unsigned>(row_tiles * ceil_div(out.channels, n))), kThreads,
               static_cast<std::size_t>(std::max(kStages * kBackwardDataSlot<Math, n>, kStageBytes<n>)), g,
               data<Elem>(job.dy), static_cast<const Elem*>(job.w), job.shape.channel_pitch, out);
      });
    }
  });
}

}  // namespace cuda

void conv3d_backward_data(const Conv3dBackwardData& args, CudaStream& stream) {
  using namespace cuda;
  if (stream.vendor() && vendor_conv3d_backward_data(args, stream)) return;
  const DType type = args.dy.dtype;
  const int chunk = chunk_of(type);
  BackwardDataMatmul job;
  job.gathers = backward_data_gathers(args.dx.shape, args.dy.shape, args.geometry);
  job.shape = packed_shape(args.w.shape, static_cast<int>(round_up(args.dx.channels(), chunk)), chunk);
  job.dy = readable_rows(stream, kGradient, args.dy, job.shape.output_pitch, 16);
  job.w = pack_weights(stream, args.w, job.shape, type);
  for (Gather& g : job.gathers) {
    g.channels = job.shape.output_pitch;
    g.source_pitch = static_cast<int>(job.dy.pitch);
  }
  backward_data_matmul(stream, job, args.dx);
}

}  // namespace mg
