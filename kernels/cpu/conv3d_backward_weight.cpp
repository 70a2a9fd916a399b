// Weight gradient of a convolution: the outer products of input rows and output gradients, summed over
// pixels.
#include <algorithm>
#include <cstring>

#include "kernels/conv3d.h"
#include "kernels/cpu/conv_tables.h"
#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/gather_outer.h"

namespace mg::MG_ISA {

void conv3d_backward_weight(const Conv3dBackwardWeight& args, CpuStream& stream) {
  const Conv3dGeometry& g = args.geometry;
  const auto table = forward_table(stream, args.x.shape, args.dy.shape, g);
  GatherOuter job;
  job.x = args.x.f32();
  job.x_pitch = args.x.pitch;
  job.rows = table->data();
  job.dy = args.dy.f32();
  job.dy_pitch = args.dy.pitch;
  job.pixels = args.dy.rows();
  job.taps = std::int64_t{g.kernel[0]} * g.kernel[1] * g.kernel[2];
  job.channels = args.x.channels();
  job.outputs = args.dy.channels();
  const std::int64_t depth = job.taps * job.channels;
  gather_outer(job, stream,
               [&](std::int64_t panel, std::int64_t slices, const float* acc, std::int64_t stride) {
                 const std::int64_t width = panel_width(job.outputs, panel);
                 const std::int64_t valid = std::min(width, job.outputs - panel * kPanel);
                 for (std::int64_t k = 0; k < valid; ++k) {
                   float* dw = args.dw.f32() + (panel * kPanel + k) * depth;  // [C][taps]
                   for (std::int64_t c = 0; c < job.channels; ++c) {
                     for (std::int64_t tap = 0; tap < job.taps; ++tap) {
                       const float* entry = acc + (tap * job.channels + c) * width + k;
                       float sum = 0;
                       for (std::int64_t s = 0; s < slices; ++s) sum += entry[s * stride];
                       *dw++ = sum;
                     }
                   }
                 }
               });
}

}  // namespace mg::MG_ISA

MG_KERNEL(conv3d_backward_weight, Conv3dBackwardWeight)
