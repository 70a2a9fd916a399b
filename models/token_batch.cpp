#include "models/token_batch.h"

#include <algorithm>

#include "engine/error.h"

namespace mg {

TokenBatch pad_tokens(std::span<const std::vector<std::int32_t>> sequences, std::int32_t pad_id) {
  TokenBatch batch;
  batch.count = static_cast<std::int64_t>(sequences.size());
  for (const auto& ids : sequences) {
    expect(!ids.empty(), "pad_tokens: sequence {} is empty", batch.lengths.size());
    batch.lengths.push_back(static_cast<std::int32_t>(ids.size()));
    batch.length = std::max(batch.length, static_cast<std::int64_t>(ids.size()));
  }
  batch.ids.reserve(static_cast<std::size_t>(batch.count * batch.length));
  for (const auto& ids : sequences) {
    batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
    batch.ids.insert(batch.ids.end(), static_cast<std::size_t>(batch.length) - ids.size(), pad_id);
  }
  return batch;
}

}  // namespace mg
