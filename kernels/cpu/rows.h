// Partitions of rows by shape. Included once per instruction set, after kernels/cpu/isa.h.
#pragma once

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

}  // namespace mg::MG_ISA
