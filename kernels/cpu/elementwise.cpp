#include "kernels/elementwise.h"

#include <algorithm>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/dropout_mask.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {

const float* row(const ConstView& v, std::int64_t r) { return v.f32() + r * v.pitch; }
float* row(const View& v, std::int64_t r) { return v.f32() + r * v.pitch; }

}  // namespace

void add_forward(const AddForward& args, CpuStream& stream) {
  const std::int64_t channels = args.y.channels();
  for_each_row_block(stream, args.y.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float *a = row(args.a, r), *b = row(args.b, r);
      float* y = row(args.y, r);
      for (std::int64_t c = 0; c < channels; ++c) y[c] = a[c] + b[c];
    }
  });
}

void scale_forward(const ScaleForward& args, CpuStream& stream) {
  const std::int64_t channels = args.y.channels();
  for_each_row_block(stream, args.y.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = row(args.x, r);
      float* y = row(args.y, r);
      for (std::int64_t c = 0; c < channels; ++c) y[c] = args.factor * x[c];
    }
  });
}

void scale_channels_forward(const ScaleChannelsForward& args, CpuStream& stream) {
  const std::int64_t channels = args.y.channels();
  for_each_row_block(stream, args.y.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float* x = row(args.x, r);
      float* y = row(args.y, r);
      if (args.one_factor) {
        for (std::int64_t c = 0; c < channels; ++c) y[c] = x[c] * args.factor[0];
      } else {
        for (std::int64_t c = 0; c < channels; ++c) y[c] = x[c] * args.factor[c];
      }
    }
  });
}

void scale_channels_backward_factor(const ScaleChannelsBackwardFactor& args, CpuStream& stream) {
  const std::int64_t channels = args.x.channels(), factors = args.one_factor ? 1 : channels;
  reduce_rows(
      stream, 0, args.x.rows(), factors,
      [&](std::int64_t begin, std::int64_t end, float* sums) {
        std::fill_n(sums, factors, 0.0f);
        for (std::int64_t r = begin; r < end; ++r) {
          const float *dy = row(args.dy, r), *x = row(args.x, r);
          if (args.one_factor) {
            Vec dot{};
            for_each_vector(
                channels, [&](std::int64_t c, auto lanes) { dot += lanes.load(dy + c) * lanes.load(x + c); });
            sums[0] += sum_lanes(dot);
          } else {
            for (std::int64_t c = 0; c < channels; ++c) sums[c] += dy[c] * x[c];
          }
        }
      },
      [&](std::int64_t c, double total) { args.dfactor[c] = static_cast<float>(total); });
}

void activation_forward(const ActivationForward& args, CpuStream& stream) {
  const std::int64_t channels = args.y.channels();
  with_activation(args.activation, [&]<Activation kActivation>() {
    for_each_row_block(stream, args.y.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const float* x = row(args.x, r);
        float* y = row(args.y, r);
        for_each_vector(channels, [&](std::int64_t c, auto lanes) {
          lanes.store(y + c, vactivate<kActivation>(lanes.load(x + c)));
        });
      }
    });
  });
}

void activation_backward(const ActivationBackward& args, CpuStream& stream) {
  const std::int64_t channels = args.dx.channels();
  with_activation(args.activation, [&]<Activation kActivation>() {
    for_each_row_block(stream, args.dx.rows(), channels, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const float *x = row(args.x, r), *dy = row(args.dy, r);
        float* dx = row(args.dx, r);
        for_each_vector(channels, [&](std::int64_t c, auto lanes) {
          lanes.store(dx + c, lanes.load(dy + c) * vactivate_slope<kActivation>(lanes.load(x + c)));
        });
      }
    });
  });
}

void dropout(const Dropout& args, CpuStream& stream) {
  const std::int64_t channels = args.y.channels();
  constexpr std::int64_t kRun = 256;  // elements whose factors are made at a time
  for_each_row_block(stream, args.y.rows(), channels * 8, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) float factors[kRun];
    for (std::int64_t r = begin; r < end; ++r) {
      for (std::int64_t c0 = 0; c0 < channels; c0 += kRun) {
        const std::int64_t count = std::min(kRun, channels - c0);
        dropout_factors(args.mask, r, channels, c0, count, factors);
        const float* x = row(args.x, r) + c0;
        float* y = row(args.y, r) + c0;
        for (std::int64_t c = 0; c < count; ++c) y[c] = x[c] * factors[c];
      }
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(add_forward, AddForward)
MG_KERNEL(scale_forward, ScaleForward)
MG_KERNEL(scale_channels_forward, ScaleChannelsForward)
MG_KERNEL(scale_channels_backward_factor, ScaleChannelsBackwardFactor)
MG_KERNEL(activation_forward, ActivationForward)
MG_KERNEL(activation_backward, ActivationBackward)
MG_KERNEL(dropout, Dropout)
