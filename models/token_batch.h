// Sequences of token ids of different lengths as one padded batch [count][length].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mg {

struct TokenBatch {
  std::int64_t count = 0;             // sequences
  std::int64_t length = 0;            // positions, padding included
  std::vector<std::int32_t> ids;      // [count * length]
  std::vector<std::int32_t> lengths;  // [count], without padding
};

// Pads every sequence to the longest. Each sequence has at least one id.
TokenBatch pad_tokens(std::span<const std::vector<std::int32_t>> sequences, std::int32_t pad_id);

}  // namespace mg
