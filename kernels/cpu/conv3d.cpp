// Convolution forward and backward-data on the register tile. Backward-data is a gather too: each input pixel
// collects from the outputs that its taps reach, one phase per parity of a strided axis, each with its own
// subset of taps.
#include "kernels/conv3d.h"

#include <algorithm>
#include <cstring>

#include "kernels/batch_norm.h"
#include "kernels/cpu/conv_tables.h"
#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/epilogue_rows.h"
#include "kernels/cpu/gather_matmul.h"

namespace mg::MG_ISA {

namespace {

std::int64_t tap_count(const Conv3dGeometry& g) {
  return std::int64_t{g.kernel[0]} * g.kernel[1] * g.kernel[2];
}

// x' = relu?(scale * x + shift) into scratch of the same pitch.
const float* transformed_input(const Conv3dForward& args, CpuStream& stream) {
  const ConstView& x = args.x;
  const InputTransform& in = args.input;
  if (in.scale == nullptr) return x.f32();
  float* out = stream.scratch(CpuStream::kShared, kInputSlot, static_cast<std::size_t>(x.rows() * x.pitch));
  constexpr std::int64_t kRows = 256;
  stream.parallel_for((x.rows() + kRows - 1) / kRows, [&](std::int64_t block, int) {
    const std::int64_t end = std::min(x.rows(), (block + 1) * kRows);
    for (std::int64_t r = block * kRows; r < end; ++r) {
      for (std::int64_t c = 0; c < x.channels(); ++c) {
        const float value = in.scale[c] * x.f32()[r * x.pitch + c] + in.shift[c];
        out[r * x.pitch + c] = in.relu && value < 0 ? 0 : value;
      }
    }
  });
  return out;
}

}  // namespace

void conv3d_forward(const Conv3dForward& args, CpuStream& stream) {
  const auto table = forward_table(stream, args.x.shape, args.y.shape, args.geometry);
  GatherMatmul job;
  job.x = transformed_input(args, stream);
  job.x_pitch = args.x.pitch;
  job.rows = table->data();
  job.pixels = args.y.rows();
  job.taps = tap_count(args.geometry);
  job.channels = args.x.channels();
  job.outputs = args.y.channels();
  job.y = args.y.f32();
  job.y_pitch = args.y.pitch;
  const std::int64_t depth = job.taps * job.channels;
  float* packed = stream.scratch(CpuStream::kShared, kPackedSlot,
                                 static_cast<std::size_t>(packed_floats(depth, job.outputs)));
  pack_panels(stream, depth, job.outputs, packed, [&](std::int64_t k, auto put) {
    const float* w = args.w.f32() + k * depth;  // [C][taps]
    for (std::int64_t c = 0; c < job.channels; ++c) {
      for (std::int64_t tap = 0; tap < job.taps; ++tap) put(tap * job.channels + c, *w++);
    }
  });
  job.packed = packed;
  gather_matmul(job, stream, [&](std::int64_t begin, std::int64_t end, std::int64_t k0, std::int64_t k1) {
    epilogue_rows(args.epilogue, args.y, {}, begin, end, k0, k1);
  });
  if (args.statistics.mean != nullptr) mg::batch_norm_statistics({args.y, args.statistics}, stream);
}

void conv3d_backward_data(const Conv3dBackwardData& args, CpuStream& stream) {
  const Conv3dGeometry& g = args.geometry;
  const ConvExtents in(args.dx.shape);
  const ConvExtents out(args.dy.shape);
  const std::int64_t taps = tap_count(g);
  const std::int64_t inputs = args.dx.channels();
  for (int index = 0; index < g.stride[0] * g.stride[1] * g.stride[2]; ++index) {
    const ConvPhase phase(in, g, index);
    const std::int64_t pixels = phase.pixels(in.n);
    if (pixels == 0) continue;
    char kind[32];
    std::snprintf(kind, sizeof kind, "phase %d", index);
    const auto table =
        stream.table(conv_table_key(kind, in, out, g), [&] { return make_phase_table(in, out, g, phase); });
    GatherMatmul job;
    job.x = args.dy.f32();
    job.x_pitch = args.dy.pitch;
    job.out_rows = table->data();
    job.rows = table->data() + pixels;
    job.pixels = pixels;
    job.taps = phase.taps(g);
    job.channels = args.dy.channels();
    job.outputs = inputs;
    job.y = args.dx.f32();
    job.y_pitch = args.dx.pitch;
    const std::int64_t depth = job.taps * job.channels;
    float* packed = stream.scratch(CpuStream::kShared, kPackedSlot,
                                   static_cast<std::size_t>(packed_floats(depth, inputs)) + 16);
    pack_panels(stream, depth, inputs, packed, [&](std::int64_t c, auto put) {
      std::int64_t d = 0;
      phase.for_each_tap(g, [&](int kt, int kh, int kw) {
        const std::int64_t tap = (std::int64_t{kt} * g.kernel[1] + kh) * g.kernel[2] + kw;
        for (std::int64_t k = 0; k < job.channels; ++k) put(d++, args.w.f32()[(k * inputs + c) * taps + tap]);
      });
    });
    job.packed = packed;
    gather_matmul(job, stream, [](std::int64_t, std::int64_t, std::int64_t, std::int64_t) {});
  }
}

}  // namespace mg::MG_ISA

MG_KERNEL(conv3d_forward, Conv3dForward)
MG_KERNEL(conv3d_backward_data, Conv3dBackwardData)
