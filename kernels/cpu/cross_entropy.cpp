#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/rows.h"

namespace mg::MG_ISA {

void cross_entropy_forward(const CrossEntropyForward& args, CpuStream& stream) {
  const std::int64_t rows = args.logits.rows(), classes = args.logits.channels();
  float* row_loss = stream.scratch(CpuStream::kShared, 0, static_cast<std::size_t>(rows));
  for_each_row_block(stream, rows, classes, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* logits = args.logits.f32() + r * args.logits.pitch;
      const float* targets = args.targets.f32() + r * args.targets.pitch;
      float largest = logits[0];
      for (std::int64_t k = 1; k < classes; ++k) largest = std::max(largest, logits[k]);
      double sum = 0;
      for (std::int64_t k = 0; k < classes; ++k) sum += std::exp(static_cast<double>(logits[k] - largest));
      const double lse = static_cast<double>(largest) + std::log(sum);
      double loss = 0;
      for (std::int64_t k = 0; k < classes; ++k) {
        if (targets[k] != 0) loss -= static_cast<double>(targets[k]) * (static_cast<double>(logits[k]) - lse);
      }
      args.row_lse[r] = static_cast<float>(lse);
      row_loss[r] = static_cast<float>(loss);
    }
  });
  double total = 0;
  for (std::int64_t r = 0; r < rows; ++r) total += static_cast<double>(row_loss[r]);
  *args.loss = static_cast<float>(total / static_cast<double>(rows));
}

void cross_entropy_backward(const CrossEntropyBackward& args, CpuStream& stream) {
  const std::int64_t rows = args.logits.rows(), classes = args.logits.channels();
  const float factor = *args.dloss / static_cast<float>(rows);
  for_each_row_block(stream, rows, classes, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* logits = args.logits.f32() + r * args.logits.pitch;
      const float* targets = args.targets.f32() + r * args.targets.pitch;
      float* dlogits = args.dlogits.f32() + r * args.dlogits.pitch;
      float mass = 0;
      for (std::int64_t k = 0; k < classes; ++k) mass += targets[k];
      for (std::int64_t k = 0; k < classes; ++k) {
        dlogits[k] = factor * (mass * std::exp(logits[k] - args.row_lse[r]) - targets[k]);
      }
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(cross_entropy_forward, CrossEntropyForward)
MG_KERNEL(cross_entropy_backward, CrossEntropyBackward)
