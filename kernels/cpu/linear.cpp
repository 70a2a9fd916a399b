// Linear layers on the same register tile as convolutions, with one tap and rows in order.
#include "kernels/linear.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/epilogue_rows.h"
#include "kernels/cpu/gather_matmul.h"
#include "kernels/cpu/gather_outer.h"
#include "kernels/cpu/rows.h"

namespace mg::MG_ISA {

void linear_forward(const LinearForward& args, CpuStream& stream) {
  GatherMatmul job;
  job.x = args.x.f32();
  job.x_pitch = args.x.pitch;
  job.pixels = args.x.rows();
  job.channels = args.x.channels();
  job.outputs = args.y.channels();
  job.y = args.y.f32();
  job.y_pitch = args.y.pitch;
  float* packed = stream.scratch(CpuStream::kShared, kPackedSlot,
                                 static_cast<std::size_t>(packed_floats(job.channels, job.outputs)));
  pack_panels(stream, job.channels, job.outputs, packed, [&](std::int64_t k, auto put) {
    const float* w = args.w.f32() + k * job.channels;
    for (std::int64_t c = 0; c < job.channels; ++c) put(c, w[c]);
  });
  job.packed = packed;
  gather_matmul(job, stream, [&](std::int64_t begin, std::int64_t end, std::int64_t k0, std::int64_t k1) {
    epilogue_rows(args.epilogue, args.y, args.pre_activation, begin, end, k0, k1);
  });
}

void linear_backward_data(const LinearBackwardData& args, CpuStream& stream) {
  GatherMatmul job;
  job.x = args.dy.f32();
  job.x_pitch = args.dy.pitch;
  job.pixels = args.dy.rows();
  job.channels = args.dy.channels();
  job.outputs = args.dx.channels();
  job.y = args.dx.f32();
  job.y_pitch = args.dx.pitch;
  float* packed = stream.scratch(CpuStream::kShared, kPackedSlot,
                                 static_cast<std::size_t>(packed_floats(job.channels, job.outputs)));
  pack_panels(stream, job.channels, job.outputs, packed, [&](std::int64_t c, auto put) {
    for (std::int64_t k = 0; k < job.channels; ++k) put(k, args.w.f32()[k * job.outputs + c]);
  });
  job.packed = packed;
  gather_matmul(job, stream, [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) {});
}

void linear_backward_weight(const LinearBackwardWeight& args, CpuStream& stream) {
  GatherOuter job;
  job.x = args.x.f32();
  job.x_pitch = args.x.pitch;
  job.dy = args.dy.f32();
  job.dy_pitch = args.dy.pitch;
  job.pixels = args.dy.rows();
  job.channels = args.x.channels();
  job.outputs = args.dy.channels();
  gather_outer(job, stream,
               [&](std::int64_t panel, std::int64_t slices, const float* acc, std::int64_t stride) {
                 const std::int64_t width = panel_width(job.outputs, panel);
                 const std::int64_t valid = std::min(width, job.outputs - panel * kPanel);
                 for (std::int64_t k = 0; k < valid; ++k) {
                   float* dw = args.dw.f32() + (panel * kPanel + k) * job.channels;
                   for (std::int64_t c = 0; c < job.channels; ++c) {
                     float sum = 0;
                     for (std::int64_t s = 0; s < slices; ++s) sum += acc[s * stride + c * width + k];
                     dw[c] = sum;
                   }
                 }
               });
  if (!args.dbias) return;
  reduce_rows(
      stream, kGatherSlot, args.dy.rows(), job.outputs,
      [&](std::int64_t begin, std::int64_t end, float* sums) {
        std::fill_n(sums, job.outputs, 0.0f);
        for (std::int64_t r = begin; r < end; ++r) {
          const float* dy = args.dy.f32() + r * args.dy.pitch;
          for (std::int64_t k = 0; k < job.outputs; ++k) sums[k] += dy[k];
        }
      },
      [&](std::int64_t k, double total) { args.dbias.f32()[k] = static_cast<float>(total); });
}

}  // namespace mg::MG_ISA

MG_KERNEL(linear_forward, LinearForward)
MG_KERNEL(linear_backward_data, LinearBackwardData)
MG_KERNEL(linear_backward_weight, LinearBackwardWeight)
