// What comes before and after a matrix product: weights and rows in the layouts that the kernels read, and
// the sum of a weight gradient's slices.
#pragma once

#include "kernels/cuda/fast_divide.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/epilogue.h"

namespace mg::cuda {

// The buffers of the launchers of matrix products.
enum Workspace : int { kWeights, kSource, kGradient, kPartial, kBiasPartial };

// Weights as the kernels read them: [channels / block][tap][block][output_pitch], zeros in the padding; the
// last block may be narrower. block is that of the forward pass's reduction, or all channels:
// [tap][channel_pitch][output_pitch].
struct PackedShape {
  int outputs = 0, channels = 0, taps = 0;  // of the dense weights [K][C][taps]
  int channel_pitch = 0, output_pitch = 0, block = 0;
  FastDivide by_taps, by_block;
  __host__ __device__ std::int64_t rows() const { return std::int64_t{taps} * channel_pitch; }
  __device__ __forceinline__ std::int64_t row(int c, int tap) const {
    const int first = by_block(c) * block, width = min(block, channel_pitch - first);
    return static_cast<std::int64_t>(first) * taps + tap * width + (c - first);
  }
};
PackedShape packed_shape(const Shape& w, int channel_pitch, int chunk);
PackedShape packed_shape(const Shape& w, int channel_pitch, int chunk, int block);
// w: fp32 or bf16. In the weights' workspace, in the given element type.
const void* pack_weights(CudaStream& stream, const ConstView& w, const PackedShape& shape, DType type);

// dw[k][c][tap] = sum over slices of partial[slice], laid out as shape says, in order.
void sum_slices(CudaStream& stream, const float* partial, int slices, const PackedShape& shape,
                const View& dw);

// x with rows that 16-byte copies of whole chunks can read, x' = relu?(scale * x + shift): x itself, or a
// copy in a workspace. pitch: that of a copy; what x's own must hold.
ConstView readable_rows(CudaStream& stream, int slot, const ConstView& x, std::int64_t pitch, int copy_bytes,
                        const InputTransform& transform = {});

// sums[k] = sum over the rows of x, fp32 in blocks of rows and double over the blocks.
void sum_rows(CudaStream& stream, const ConstView& x, float* sums);

}  // namespace mg::cuda
