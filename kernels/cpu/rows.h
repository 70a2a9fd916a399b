// Partitions of rows by shape, and sums down the columns of a block. Included once per instruction set, after
// kernels/cpu/isa.h.
#pragma once

#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

// Calls body(begin, end) for blocks of rows of about 16,384 elements.
template <class Body>
void for_each_row_block(CpuStream& stream, std::int64_t rows, std::int64_t channels, Body body) {
  const std::int64_t block = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, channels));
  stream.parallel_for((rows + block - 1) / block,
                      [&](std::int64_t i, int) { body(i * block, std::min(rows, (i + 1) * block)); });
}

// Sums over rows, one or more per channel: fill(begin, end, sums) writes `floats` partial sums of rows
// [begin, end) in fp32; they are added in double, block by block, in order, and emit(i, total) is called for
// each.
template <class Fill, class Emit>
void reduce_rows(CpuStream& stream, int slot, std::int64_t rows, std::int64_t floats, Fill fill, Emit emit) {
  constexpr std::int64_t kBlock = 256;
  const std::int64_t blocks = (rows + kBlock - 1) / kBlock;
  float* partial = stream.scratch(CpuStream::kShared, slot, static_cast<std::size_t>(blocks * floats));
  stream.parallel_for(blocks, [&](std::int64_t block, int) {
    fill(block * kBlock, std::min(rows, (block + 1) * kBlock), partial + block * floats);
  });
  constexpr std::int64_t kGroup = 64;
  stream.parallel_for((floats + kGroup - 1) / kGroup, [&](std::int64_t group, int) {
    const std::int64_t first = group * kGroup;
    const std::int64_t count = std::min(kGroup, floats - first);
    double totals[kGroup] = {};
    for (std::int64_t block = 0; block < blocks; ++block) {
      const float* sums = partial + block * floats + first;
      for (std::int64_t i = 0; i < count; ++i) totals[i] += static_cast<double>(sums[i]);
    }
    for (std::int64_t i = 0; i < count; ++i) emit(first + i, totals[i]);
  });
}

// How many channels a row loop runs over: rounded up to whole vectors where every row has the (zero) padding.
template <class... Pitch>
inline std::int64_t padded_channels(std::int64_t channels, Pitch... pitch) {
  const std::int64_t rounded = round_up(channels, kVectorFloats);
  return ((pitch >= rounded) && ...) ? rounded : channels;
}

template <int kTerms>
struct Terms {
  Vec v[kTerms];
};

// sums[kTerms][channels]: the sums over rows [begin, end) of term(row, channel, lanes), in registers and in
// the order of rows.
template <int kTerms, class Term>
inline void sum_block(std::int64_t begin, std::int64_t end, std::int64_t channels, float* sums, Term term) {
  constexpr int kGroup = 4;  // vectors side by side: stretches of a row, not one cache line of each
  std::int64_t c = 0;
  for (; c + kGroup * kVectorFloats <= channels; c += kGroup * kVectorFloats) {
    Vec sum[kGroup][kTerms] = {};
    for (std::int64_t r = begin; r < end; ++r) {
#pragma GCC unroll 4
      for (int g = 0; g < kGroup; ++g) {
        const Terms<kTerms> values = term(r, c + g * kVectorFloats, WholeLanes{});
#pragma GCC unroll 2
        for (int s = 0; s < kTerms; ++s) sum[g][s] += values.v[s];
      }
    }
    for (int g = 0; g < kGroup; ++g) {
      for (int s = 0; s < kTerms; ++s) store(sums + s * channels + c + g * kVectorFloats, sum[g][s]);
    }
  }
  for_each_vector(channels - c, [&](std::int64_t i, auto lanes) {
    Vec sum[kTerms] = {};
    for (std::int64_t r = begin; r < end; ++r) {
      const Terms<kTerms> values = term(r, c + i, lanes);
      for (int s = 0; s < kTerms; ++s) sum[s] += values.v[s];
    }
    for (int s = 0; s < kTerms; ++s) lanes.store(sums + s * channels + c + i, sum[s]);
  });
}

}  // namespace mg::MG_ISA
