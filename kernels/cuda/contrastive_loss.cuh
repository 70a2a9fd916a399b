// What the kernels of the contrastive loss share: the problem, and tiles of 64 x 64 similarities.
#pragma once

#include "kernels/contrastive_loss.h"
#include "kernels/cuda/lane_tile.cuh"

namespace mg::cuda {

inline constexpr int kSide = 64;      // of a tile of similarities
inline constexpr int kStep = 32;      // channels at a time
inline constexpr int kLaneTexts = 4;  // columns of a lane
inline constexpr int kStageFloats = 2 * kSide * kTilePitch<kStep, float>;

struct ContrastiveInput {
  const float *v, *t, *positives;  // [B, D]; [K, D] or [B, K, D]; [B, K]
  std::int64_t v_pitch, t_pitch, positives_pitch;
  const std::int32_t* counts;  // [K]
  int clips, texts, dim;
  float temperature, label_scale;
  bool l1;
  bool vector;  // rows of v and t begin at 16 bytes; what follows their last channel up to a whole vector is
                // zero
};

inline bool rows_are_vectors(const ConstView& view) {
  return reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.pitch % 4 == 0;
}

inline ContrastiveInput contrastive_input(const ContrastiveProblem& p) {
  return {p.v.f32(),
          p.t.f32(),
          p.positives.f32(),
          p.v.pitch,
          p.t.pitch,
          p.positives.pitch,
          p.counts,
          static_cast<int>(p.v.rows()),
          static_cast<int>(p.positives.channels()),
          static_cast<int>(p.v.channels()),
          p.temperature,
          p.label_scale,
          p.target == ContrastiveTarget::l1,
          rows_are_vectors(p.v) && rows_are_vectors(p.t)};
}
inline bool is_prompted(const ContrastiveProblem& p) { return p.t.shape.rank() == 3; }

// What the target is the softmax of.
__device__ __forceinline__ float label_of(const ContrastiveInput& in, float positive) {
  if (in.l1) return positive > 0 ? logf(positive) : -INFINITY;
  return in.label_scale * positive;
}

// One side of a tile: 64 rows, of which `valid` are there.
struct TileSide {
  const float* rows;
  std::int64_t pitch;
  int valid;
};

// s = dot products of a lane's rows of `own` and columns of `other`. By the 128 threads of a block; stages: 2
// * kStageFloats of shared memory, which are free when it returns. A first group of copies may be under way.
__device__ __forceinline__ void multiply_tile(float (&s)[kLaneRows][kLaneTexts], const TileSide& own,
                                              const TileSide& other, int dim, bool vector, float* stages,
                                              int warp, int lane) {
  constexpr int kPitch = kTilePitch<kStep, float>;
  auto load = [&](int step) {
    float* stage = stages + (step & 1) * kStageFloats;
    const int first = step * kStep;
    load_rows<kStep>(stage, kSide, own.rows + first, own.pitch, own.valid, dim - first, vector);
    load_rows<kStep>(stage + kSide * kPitch, kSide, other.rows + first, other.pitch, other.valid, dim - first,
                     vector);
  };
  const int steps = ceil_div(dim, kStep), chunks = ceil_div(min(other.valid, kSide), 16);
  load(0);
  commit_copies();
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) load(step + 1);
    commit_copies();
    wait_copies<1>();
    __syncthreads();  // this step has landed for every thread
    const float* stage = stages + (step & 1) * kStageFloats;
    dot_rows<kStep>(s, stage + warp * 16 * kPitch, stage + kSide * kPitch, min(kStep, dim - step * kStep),
                    chunks, lane);
    __syncthreads();  // all are done with this stage, which is filled next
  }
}

// v_i . t_ik of a prompted problem. All lanes of a warp call, and get it.
__device__ __forceinline__ float prompted_product(const ContrastiveInput& in, int clip, int text, int lane) {
  const float* a = in.v + clip * in.v_pitch;
  const float* b = in.t + (static_cast<std::int64_t>(clip) * in.texts + text) * in.t_pitch;
  float sum = 0;
  if (in.vector) {
    for (int c = lane * 4; c < in.dim; c += 128) {
      const float4 x = *reinterpret_cast<const float4*>(a + c), y = *reinterpret_cast<const float4*>(b + c);
      sum = fmaf(x.x, y.x, fmaf(x.y, y.y, fmaf(x.z, y.z, fmaf(x.w, y.w, sum))));
    }
  } else {
    for (int c = lane; c < in.dim; c += 32) sum = fmaf(a[c], b[c], sum);
  }
  return warp_sum(sum);
}

}  // namespace mg::cuda
