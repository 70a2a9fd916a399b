// Tiles of a matrix product in shared memory, the part of one that a warp multiplies, and the pipeline that
// fills them. A block of 128 threads (2 x 2 warps) makes 128 x kTileN outputs, 64 bytes of the reduction axis
// a step. An operand lies either way:
//   by rows     [row][64 bytes of the reduction]; 16-byte chunk c of row r at c ^ (r / 2 % 4): eight rows of
//   one chunk,
//               or two rows of four chunks, touch every bank once
//   by columns  [element of the reduction][width + padding]; the padding of 16 bytes (bf16) makes the pitch
//   an odd number
//               of chunks, for ldmatrix; 32 bytes (fp32) make it 8 or 24 banks modulo 32, for reads of 4 rows
//               x 8 columns
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"

namespace mg::cuda {

inline constexpr int kTileM = 128, kTileBytesK = 64, kThreads = 128, kStages = 4;

template <class Elem>
inline constexpr int kChunk = 16 / static_cast<int>(sizeof(Elem));  // elements of 16 bytes
template <class Elem>
inline constexpr int kTileK = kTileBytesK / static_cast<int>(sizeof(Elem));
template <class Elem>
inline constexpr int kColumnPadding = sizeof(Elem) == 2 ? 16 : 32;
template <class Elem>
__host__ __device__ constexpr int column_pitch(int width) {  // bytes
  return width * static_cast<int>(sizeof(Elem)) + kColumnPadding<Elem>;
}
template <class Elem>
__host__ __device__ constexpr int tile_bytes(bool by_rows, int width) {
  return by_rows ? width * kTileBytesK : kTileK<Elem> * column_pitch<Elem>(width);
}
__device__ __forceinline__ int row_tile_offset(int row, int chunk) {
  return row * kTileBytesK + ((chunk ^ ((row >> 1) & 3)) << 4);
}

// The finished tile as fp32 in shared memory. The pitch is 8 or 24 banks modulo 32: what the fragments write,
// four rows of eight columns, and what is read of it, runs of 16 bytes, touch every bank once.
template <int kTileN>
inline constexpr int kStagePitch = kTileN + 8;  // floats

// How numbers multiply: on tensor cores in bf16 or tf32, or in fp32 registers.
struct MathBF16 {
  using Elem = BF16;
};
struct MathTF32 {
  using Elem = float;
};
struct MathF32 {
  using Elem = float;
};

// 64 x (kTileN / 2) of the output, in the registers of a warp. kRowsA, kRowsB: how the operands lie. Tensor
// cores: accumulator [i][j][.] is a 16 x 8 fragment.
template <class Math, int kTileN, bool kRowsA, bool kRowsB>
class WarpTile {
  using Elem = typename Math::Elem;
  static constexpr int kFragments = kTileN / 16;
  static constexpr bool kTF32 = sizeof(Elem) == 4;
  static constexpr int kPitchA = column_pitch<Elem>(kTileM), kPitchB = column_pitch<Elem>(kTileN);

 public:
  // a and b: the tiles of this step; (warp_m, warp_n): this warp's place; depth: what is left of the
  // reduction.
  __device__ __forceinline__ void multiply(std::uint32_t a, std::uint32_t b, int warp_m, int warp_n, int lane,
                                           int depth) {
    // Both in one run of instructions: the second half is loaded beside the first one's products.
    if (depth > kTileK<Elem> / 2) {
      multiply_half(0, a, b, warp_m, warp_n, lane);
      multiply_half(1, a, b, warp_m, warp_n, lane);
    } else {
      multiply_half(0, a, b, warp_m, warp_n, lane);
    }
  }
  __device__ __forceinline__ void store(float* stage, int warp_m, int warp_n, int lane) const {
    float* to =
        stage + (warp_m * 64 + (lane >> 2)) * kStagePitch<kTileN> + warp_n * (kTileN / 2) + (lane & 3) * 2;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < kFragments; ++j) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          *reinterpret_cast<float2*>(to + (i * 16 + h * 8) * kStagePitch<kTileN> + j * 8) =
              make_float2(sum_[i][j][h * 2], sum_[i][j][h * 2 + 1]);
        }
      }
    }
  }

 private:
  __device__ __forceinline__ void multiply_half(int half, std::uint32_t a, std::uint32_t b, int warp_m,
                                                int warp_n, int lane) {
    if constexpr (kRowsA) {
      load_a_rows(a + warp_m * 64 * kTileBytesK, half, lane);
    } else {
      load_a_columns(a + warp_m * 64 * sizeof(Elem), half, lane);
    }
    if constexpr (kRowsB) {
      load_b_rows(b + warp_n * (kTileN / 2) * kTileBytesK, half, lane);
    } else {
      load_b_columns(b + warp_n * (kTileN / 2) * sizeof(Elem), half, lane);
    }
    if constexpr (kTF32) round_operands();
#pragma unroll
    for (int e = 0; e < 4 * kFragments; ++e) {
      if constexpr (kTF32) {
        mma_tf32(sum_[e / kFragments][e % kFragments], a_[e / kFragments], b_[e % kFragments]);
      } else {
        mma_bf16(sum_[e / kFragments][e % kFragments], a_[e / kFragments], b_[e % kFragments]);
      }
    }
  }
  __device__ __forceinline__ void load_a_rows(std::uint32_t tile, int half, int lane) {
    const std::uint32_t p = tile + row_tile_offset(lane & 15, half * 2 + (lane >> 4));
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      load_matrix_x4<false>(a_[i][0], a_[i][1], a_[i][2], a_[i][3], p + i * 16 * kTileBytesK);
    }
  }
  __device__ __forceinline__ void load_a_columns(std::uint32_t tile, int half, int lane) {
    if constexpr (kTF32) {
      const std::uint32_t p = tile + (half * 8 + (lane & 3)) * kPitchA + (lane >> 2) * 4;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int r = 0; r < 4; ++r)
          a_[i][r] = load_shared(p + (r >> 1) * 4 * kPitchA + (i * 16 + (r & 1) * 8) * 4);
      }
    } else {
      const std::uint32_t p =
          tile + (half * 16 + (lane & 7) + ((lane >> 4) << 3)) * kPitchA + ((lane >> 3) & 1) * 16;
#pragma unroll
      for (int i = 0; i < 4; ++i) load_matrix_x4<true>(a_[i][0], a_[i][1], a_[i][2], a_[i][3], p + i * 32);
    }
  }
  __device__ __forceinline__ void load_b_rows(std::uint32_t tile, int half, int lane) {
    const std::uint32_t p = tile + row_tile_offset(lane & 7, half * 2 + ((lane >> 3) & 1));
#pragma unroll
    for (int j = 0; j + 1 < kFragments; j += 2) {
      load_matrix_x4<false>(b_[j][0], b_[j][1], b_[j + 1][0], b_[j + 1][1],
                            p + ((lane >> 4) + j) * 8 * kTileBytesK);
    }
    if constexpr (kFragments % 2 != 0) {
      load_matrix_x2<false>(b_[kFragments - 1][0], b_[kFragments - 1][1],
                            p + (kFragments - 1) * 8 * kTileBytesK);
    }
  }
  __device__ __forceinline__ void load_b_columns(std::uint32_t tile, int half, int lane) {
    if constexpr (kTF32) {
      const std::uint32_t p = tile + (half * 8 + (lane & 3)) * kPitchB + (lane >> 2) * 4;
#pragma unroll
      for (int j = 0; j < kFragments; ++j) {
#pragma unroll
        for (int r = 0; r < 2; ++r) b_[j][r] = load_shared(p + r * 4 * kPitchB + j * 32);
      }
    } else {
      const std::uint32_t p = tile + (half * 16 + (lane & 15)) * kPitchB;
#pragma unroll
      for (int j = 0; j + 1 < kFragments; j += 2) {
        load_matrix_x4<true>(b_[j][0], b_[j][1], b_[j + 1][0], b_[j + 1][1], p + ((lane >> 4) + j) * 16);
      }
      if constexpr (kFragments % 2 != 0) {
        load_matrix_x2<true>(b_[kFragments - 1][0], b_[kFragments - 1][1], p + (kFragments - 1) * 16);
      }
    }
  }
  __device__ __forceinline__ void round_operands() {
#pragma unroll
    for (int e = 0; e < 16; ++e) a_[e / 4][e % 4] = to_tf32(a_[e / 4][e % 4]);
#pragma unroll
    for (int e = 0; e < 2 * kFragments; ++e) b_[e / 2][e % 2] = to_tf32(b_[e / 2][e % 2]);
  }

  float sum_[4][kFragments][4] = {};
  std::uint32_t a_[4][4], b_[kFragments][2];
};

// The same in fp32: a lane makes 16 rows of kTileN / 16 columns, four lanes (y) by eight (x). Rows y + 4 i
// where a lies by rows, quads of rows 4 (y + 4 i) where by columns; columns x + 8 j or quads 4 (x + 8 j)
// likewise, so that eight lanes read 128 bytes or the same 16.
template <int kTileN, bool kRowsA, bool kRowsB>
class WarpTile<MathF32, kTileN, kRowsA, kRowsB> {
  static constexpr int kColumns = kTileN / 16;
  static constexpr bool kQuadsB = !kRowsB && kColumns % 4 == 0;
  static constexpr int kPitchA = column_pitch<float>(kTileM), kPitchB = column_pitch<float>(kTileN);

 public:
  __device__ __forceinline__ void multiply(std::uint32_t a, std::uint32_t b, int warp_m, int warp_n, int lane,
                                           int depth) {
    const int x = lane & 7, y = lane >> 3;
    a += kRowsA ? warp_m * 64 * kTileBytesK : (warp_m * 64 + y * 4) * 4;
    b += kRowsB ? warp_n * (kTileN / 2) * kTileBytesK : (warp_n * (kTileN / 2) + (kQuadsB ? x * 4 : x)) * 4;
    // Four elements of the reduction at a time. Not unrolled: the code would not fit the instruction cache.
#pragma unroll 1
    for (int chunk = 0; chunk < 4 && chunk * 4 < depth; ++chunk) {
      float bs[4][kColumns];
      load_b(bs, b, chunk, x);
      if constexpr (kRowsA) {
#pragma unroll
        for (int i = 0; i < 16; ++i) {
          const float4 v = load_shared_x4(a + row_tile_offset(y + 4 * i, chunk));
          multiply_row(i, v.x, bs[0]), multiply_row(i, v.y, bs[1]);
          multiply_row(i, v.z, bs[2]), multiply_row(i, v.w, bs[3]);
        }
      } else {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
#pragma unroll
          for (int i = 0; i < 16; i += 4) {
            const float4 v = load_shared_x4(a + (chunk * 4 + k) * kPitchA + i * 16);
            multiply_row(i, v.x, bs[k]), multiply_row(i + 1, v.y, bs[k]);
            multiply_row(i + 2, v.z, bs[k]), multiply_row(i + 3, v.w, bs[k]);
          }
        }
      }
    }
  }
  __device__ __forceinline__ void store(float* stage, int warp_m, int warp_n, int lane) const {
    const int x = lane & 7, y = lane >> 3;
    float* to = stage + warp_m * 64 * kStagePitch<kTileN> + warp_n * (kTileN / 2);
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      float* row = to + (kRowsA ? y + 4 * i : i / 4 * 16 + y * 4 + i % 4) * kStagePitch<kTileN>;
      if constexpr (!kQuadsB) {
#pragma unroll
        for (int j = 0; j < kColumns; ++j) row[x + 8 * j] = sum_[i][j];
      } else {
#pragma unroll
        for (int j = 0; j < kColumns; j += 4) {
          *reinterpret_cast<float4*>(row + x * 4 + j * 8) =
              make_float4(sum_[i][j], sum_[i][j + 1], sum_[i][j + 2], sum_[i][j + 3]);
        }
      }
    }
  }

 private:
  __device__ __forceinline__ void load_b(float (&bs)[4][kColumns], std::uint32_t b, int chunk, int x) const {
    if constexpr (kRowsB) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        const float4 v = load_shared_x4(b + row_tile_offset(x + 8 * j, chunk));
        bs[0][j] = v.x, bs[1][j] = v.y, bs[2][j] = v.z, bs[3][j] = v.w;
      }
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int j = 0; j < kColumns; j += kQuadsB ? 4 : 1) {
          const std::uint32_t p = b + (chunk * 4 + k) * kPitchB + j * 32;
          if constexpr (kQuadsB) {
            const float4 v = load_shared_x4(p);
            bs[k][j] = v.x, bs[k][j + 1] = v.y, bs[k][j + 2] = v.z, bs[k][j + 3] = v.w;
          } else {
            bs[k][j] = __uint_as_float(load_shared(p));
          }
        }
      }
    }
  }
  __device__ __forceinline__ void multiply_row(int i, float a, const float (&b)[kColumns]) {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) sum_[i][j] = fmaf(a, b[j], sum_[i][j]);
  }

  float sum_[16][kColumns] = {};
};

// load(slot) starts the copies of the next step, once a step and in order; compute(step, slot) uses them when
// they are there. All slots are free at the end.
template <class Load, class Compute>
__device__ __forceinline__ void run_pipeline(int steps, Load load, Compute compute) {
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps) load(s);
    commit_copies();
  }
  int slot = 0, next = kStages - 1;
  for (int i = 0; i < steps; ++i) {
    wait_copies<kStages - 2>();
    // Step i has landed for every thread, and every thread is done with the slot that is filled next.
    __syncthreads();
    if (i + kStages - 1 < steps) load(next);
    commit_copies();
    compute(i, slot);
    slot = slot + 1 == kStages ? 0 : slot + 1;
    next = next + 1 == kStages ? 0 : next + 1;
  }
  wait_copies<0>();
  __syncthreads();
}

// Copies panels of the reduction, [kTileK][kTileN] from column first_n on, of a row-major matrix into a tile
// by columns.
template <class Elem, int kTileN>
class PanelLoader {
  static constexpr int kChunks = kTileN / kChunk<Elem>,
                       kRows = kThreads / kChunks;  // chunks a row, rows a pass
  static constexpr int kPitch = column_pitch<Elem>(kTileN);

 public:
  // Columns from `columns` on, a multiple of a chunk, are zero.
  __device__ __forceinline__ PanelLoader(const Elem* matrix, int pitch, int columns, int first_n)
      : pitch_(pitch) {
    const int chunk = threadIdx.x % kChunks, n = first_n + chunk * kChunk<Elem>;
    row_ = threadIdx.x / kChunks;
    inside_ = n < columns;
    from_ = matrix + static_cast<std::int64_t>(row_) * pitch + n;
    to_ = row_ * kPitch + chunk * 16;
  }
  // Rows first .. first + kTileK - 1; zeros from row `end` on.
  __device__ __forceinline__ void load(std::uint32_t tile, int first, int end) const {
    const Elem* p = from_ + static_cast<std::int64_t>(first) * pitch_;
    const int rows = end - first;
#pragma unroll
    for (int i = 0; i < kTileK<Elem>; i += kRows) {
      if (row_ < min(kRows, kTileK<Elem> - i)) {
        copy_async_once(tile + to_ + i * kPitch, p + i * pitch_, inside_ && row_ + i < rows);
      }
    }
  }

 private:
  const Elem* from_;
  int pitch_, row_;
  bool inside_;
  std::uint32_t to_;
};

}  // namespace mg::cuda
