#include "bench/ops/operations.h"

namespace mg {

std::int64_t captions(const Bench& bench) { return bench.counting ? 8 : 32 * bench.batch; }

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all{
      {"conv", "the convolutions of R(2+1)D-18", conv_jobs},
      {"linear", "the linear layers of DistilBERT, captions of 16 tokens", linear_jobs},
      {"attention", "DistilBERT's attention, and the emotion Transformer's", attention_jobs},
      {"batch_norm", "R(2+1)D-18's, with ReLU and residual", batch_norm_jobs},
      {"layer_norm", "DistilBERT's", layer_norm_jobs},
      {"l2_normalize", "of the embeddings", l2_normalize_jobs},
      {"elementwise", "activations, sums, dropout, casts", elementwise_jobs},
      {"gather_rows", "token embeddings", gather_rows_jobs},
      {"pool", "global average pooling", pool_jobs},
      {"lstm_cell", "a step of an LSTM", lstm_cell_jobs},
      {"cross_entropy", "with soft targets", cross_entropy_jobs},
      {"contrastive_loss", "of a batch of clips and texts", contrastive_loss_jobs},
      {"adamw", "one step of all parameters of R(2+1)D-18", adamw_jobs},
      {"frame_input", "stored frames to a network's input (CUDA)", frame_input_jobs},
  };
  return all;
}

}  // namespace mg
