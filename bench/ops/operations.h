// The operations that are measured, in the shapes that training has.
#pragma once

#include "bench/bench.h"

namespace mg {

std::vector<MakeJob> conv_jobs(Bench& bench);
std::vector<MakeJob> linear_jobs(Bench& bench);
std::vector<MakeJob> attention_jobs(Bench& bench);
std::vector<MakeJob> batch_norm_jobs(Bench& bench);
std::vector<MakeJob> layer_norm_jobs(Bench& bench);
std::vector<MakeJob> l2_normalize_jobs(Bench& bench);
std::vector<MakeJob> elementwise_jobs(Bench& bench);
std::vector<MakeJob> gather_rows_jobs(Bench& bench);
std::vector<MakeJob> pool_jobs(Bench& bench);
std::vector<MakeJob> lstm_cell_jobs(Bench& bench);
std::vector<MakeJob> cross_entropy_jobs(Bench& bench);
std::vector<MakeJob> contrastive_loss_jobs(Bench& bench);
std::vector<MakeJob> adamw_jobs(Bench& bench);
std::vector<MakeJob> frame_input_jobs(Bench& bench);

// The captions of a batch: 32 a clip of it, of 16 tokens.
inline constexpr std::int64_t kTokens = 16;
std::int64_t captions(const Bench& bench);

}  // namespace mg
