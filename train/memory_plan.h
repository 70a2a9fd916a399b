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

// What the texts of a batch look like at most.
struct TextSizes {
  std::int64_t vocabulary = 0, distinct = 0, length = 0;
};

// A step of the first stage with this many clips.
MemoryPlan plan_contrastive(const Config& config, const Context& ctx, const TextSizes& texts,
                            std::int64_t batch);

// Error(ExitCode::out_of_memory), with the batch that would fit, when the device has less memory than the
// configured batch takes. Otherwise the plan, which is printed.
MemoryPlan check_memory(const Config& config, Context& ctx, const TextSizes& texts);

// Runs train; what ends with ExitCode::out_of_memory is told again with the batch that would fit.
void with_memory_advice(const Config& config, Context& ctx, const TextSizes& texts,
                        const std::function<void()>& train);

std::string bytes_text(std::size_t bytes);  // "812 MiB", "1.4 GiB"

}  // namespace mg
