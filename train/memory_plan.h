// How much memory a training step takes, found out by running it on addresses without memory.
#pragma once

#include <cstdint>
#include <string>

#include "engine/context.h"
#include "train/config.h"

namespace mg {

struct MemoryPlan {
  std::int64_t batch = 0;      // clips
  std::size_t parameters = 0;  // with the optimizer's two moments, bytes
  std::size_t step = 0;        // activations, gradients and input at their peak, bytes
  std::size_t total() const { return parameters + step; }
};

// What training sees: clips, and their texts at most.
struct TrainingSizes {
  std::int64_t clips = 0, vocabulary = 0, distinct_texts = 0, text_length = 0;
};

// A step of the first stage with this many clips.
MemoryPlan plan_contrastive(const Config& config, const Context& ctx, const TrainingSizes& sizes,
                            std::int64_t batch);

// Error(ExitCode::out_of_memory), with the batch that would fit, when the device has less memory than the
// largest batch of the configured training takes. Otherwise the plan, which is printed.
MemoryPlan check_memory(const Config& config, Context& ctx, const TrainingSizes& sizes);

// Runs train; what ends with ExitCode::out_of_memory is told again with the batch that would fit.
void with_memory_advice(const Config& config, Context& ctx, const TrainingSizes& sizes,
                        const std::function<void()>& train);

std::string bytes_text(std::size_t bytes);  // "812 MiB", "1.4 GiB"

}  // namespace mg
