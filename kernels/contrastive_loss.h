// The symmetric KL contrastive loss over clip-text similarity, fused: S[i,k] = v_i . t_k / temperature, for B
// clips and K different texts of which text k stands for counts[k] of the B pairs. With L = positives and a =
// label_scale, over the B x B pairs:
//   target_i = softmax_j(a L_i), target_j = softmax_i(a L_j)      (the authors' KLLoss; paper eq. 5-7), or
//   target_i = L_i / sum_j L_ij, target_j = L_j / sum_i L_ij      (the paper's 0/1 ground truth as a
//   distribution) loss = 1/2 [ mean_i KL(target_i || softmax_j S_i) + mean_j KL(target_j || softmax_i S_j) ].
// Only the log-sum-exps of rows and columns are stored; the backward pass recomputes the similarities.
#pragma once

#include "kernels/stream.h"
#include "kernels/view.h"

namespace mg {

enum class ContrastiveTarget { softmax, l1 };

// All of it in fp32.
struct ContrastiveProblem {
  ConstView v;                 // [B, D]
  ConstView t;                 // [K, D], or [B, K, D]: text k as prompted by clip i
  ConstView positives;         // [B, K], in [0, 1]
  const std::int32_t* counts;  // [K], their sum is B
  float temperature;
  float label_scale;                                      // of softmax
  ContrastiveTarget target = ContrastiveTarget::softmax;  // l1: every row and column has a positive
};

// Log-sum-exps: row [B] and column [K] of the similarities, and the same of what the target is the softmax
// of: label_scale * positives, or for l1 log(positives).
struct ContrastiveNormalisers {
  float *row, *column, *target_row, *target_column;
};

struct ContrastiveLossForward {
  ContrastiveProblem problem;
  float* loss;
  ContrastiveNormalisers normalisers;  // written
};
struct ContrastiveLossBackward {
  ContrastiveProblem problem;
  View dv, dt;  // like v and t, written whole
  ContrastiveNormalisers normalisers;
  const float* dloss;
};

void contrastive_loss_forward(const ContrastiveLossForward&, CpuStream&);
void contrastive_loss_forward(const ContrastiveLossForward&, CudaStream&);
void contrastive_loss_backward(const ContrastiveLossBackward&, CpuStream&);
void contrastive_loss_backward(const ContrastiveLossBackward&, CudaStream&);

}  // namespace mg
