// The mean and biased variance of each channel in one pass over x: each strip of rows sums d = x - centre and
// d^2 about a centre of its own, its first row, and the strips' moments are combined in double (Chan, Golub
// and LeVeque 1979).
#include "kernels/batch_norm.h"
#include "kernels/cuda/column_sums.cuh"

namespace mg {

namespace {

using namespace cuda;

// x: [rows, channels]. partial: [blocks, 2, channels], sums of d and of d^2 of each strip; centres: [blocks,
// channels], the mean of the first rows of its lanes, so that no single row can put it far from the rest.
template <int kWidth, class Elem>
__global__ void __launch_bounds__(kRowThreads)
    batch_norm_statistics_kernel(RowTile tile, int channels, Rows<const Elem> x, float* partial,
                                 float* centres) {
  __shared__ LaneSums<kWidth, kWidth> firsts;
  const int column = tile.column<kWidth>(), chunk = static_cast<int>(threadIdx.x) % tile.chunks;
  const std::int64_t end = tile.end(), left = end - blockIdx.x * tile.strip;
  const std::int64_t first = column < channels ? tile.first() : end;
  const float share = 1.0f / static_cast<float>(left < tile.lanes ? left : tile.lanes);
  float centre[kWidth] = {}, d[kWidth] = {}, sums[2 * kWidth] = {};
  if (first < end) load_chunk(d, x.at(first, column));
#pragma unroll
  for (int j = 0; j < kWidth; ++j) centre[j] = d[j];
  sum_lanes(firsts, tile, centre);
  __syncthreads();
#pragma unroll
  for (int j = 0; j < kWidth; ++j) centre[j] = firsts.numbers[j][chunk] * share;
  auto add = [&] {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      d[j] -= centre[j];
      sums[j] += d[j];
      sums[kWidth + j] += d[j] * d[j];
    }
  };
  if (first < end) add();
#pragma unroll 4
  for (std::int64_t r = first + tile.lanes; r < end; r += tile.lanes) {
    load_chunk(d, x.at(r, column));
    add();
  }
  const int group = static_cast<int>(blockIdx.y) * tile.chunks * kWidth;
  for (int i = static_cast<int>(threadIdx.x); i < tile.chunks * kWidth; i += static_cast<int>(blockDim.x)) {
    if (group + i < channels) {
      centres[blockIdx.x * static_cast<std::int64_t>(channels) + group + i] =
          firsts.numbers[i % kWidth][i / kWidth] * share;
    }
  }
  store_strip_sums<2, kWidth>(tile, channels, sums, partial);
}

// Of a set of rows: how many, their mean, and the sum of squared distances from it.
struct Moments {
  double count, mean, squares;

  __device__ void add(const Moments& other) {
    const double all = count + other.count;
    if (all == 0) return;
    const double difference = other.mean - mean, share = other.count / all;
    squares += other.squares + difference * difference * count * share;
    mean += difference * share;
    count = all;
  }
};

// Thread (x, y): channel blockIdx.x * 32 + x, strips y, y + 16, ...; then a tree over y. Shared: 12 KiB,
// static.
constexpr int kStripLanes = 16;
__global__ void __launch_bounds__(32 * kStripLanes)
    batch_norm_moments_kernel(const float* centres, const float* partial, int strips, std::int64_t strip,
                              std::int64_t rows, int channels, BatchStatistics out) {
  __shared__ Moments shared[kStripLanes][32];
  const int c = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  Moments all{0, 0, 0};
  if (c < channels) {
    for (int s = static_cast<int>(threadIdx.y); s < strips; s += kStripLanes) {
      const float* p = partial + s * static_cast<std::int64_t>(2 * channels) + c;
      const std::int64_t begin = s * strip;
      const auto n = static_cast<double>(begin + strip < rows ? strip : rows - begin);
      const double sum = p[0], centre = centres[s * static_cast<std::int64_t>(channels) + c];
      all.add({n, centre + sum / n, p[channels] - sum * sum / n});
    }
  }
  shared[threadIdx.y][threadIdx.x] = all;
  for (unsigned step = kStripLanes / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.y >= step) continue;
    all.add(shared[threadIdx.y + step][threadIdx.x]);
    shared[threadIdx.y][threadIdx.x] = all;
  }
  if (threadIdx.y != 0 || c >= channels) return;
  out.mean[c] = static_cast<float>(all.mean);
  out.variance[c] = static_cast<float>(all.squares / all.count);
  if (out.running_mean != nullptr) update_running(out, c, all.mean, all.squares / fmax(1.0, all.count - 1));
}

}  // namespace

void batch_norm_statistics(const BatchNormStatistics& args, CudaStream& stream) {
  const std::int64_t rows = args.x.rows(), channels = args.x.channels();
  with_elem(args.x.dtype, [&](auto elem) {
    using Elem = decltype(elem);
    with_width<Elem>(
        [&](auto width) {
          const RowLaunch l = row_launch(rows, channels, width, 16, 512, kChannelChunks);
          auto* partial = static_cast<float*>(
              stream.workspace(0, l.grid.x * static_cast<std::size_t>(3 * channels) * sizeof(float)));
          float* centres = partial + static_cast<std::size_t>(2 * channels) * l.grid.x;
          launch(stream, "batch_norm_statistics_kernel", batch_norm_statistics_kernel<width(), Elem>, l.grid,
                 l.block, 0, l.tile, channels, rows_of<Elem>(args.x), partial, centres);
          launch(stream, "batch_norm_moments_kernel", batch_norm_moments_kernel,
                 static_cast<unsigned>(ceil_div<std::int64_t>(channels, 32)), dim3(32, kStripLanes), 0,
                 centres, partial, l.grid.x, l.tile.strip, rows, channels, args.statistics);
        },
        args.x);
  });
}

}  // namespace mg
