// Linear layers: the 1x1x1 convolution whose pixels are the rows.
#include "kernels/linear.h"

#include "kernels/cuda/gather_matmul.cuh"
#include "kernels/cuda/vendor.h"

namespace mg {

using namespace cuda;

void linear_forward(const LinearForward& args, CudaStream& stream) {
  if (stream.vendor() && vendor_linear_forward(args, stream)) return;
  const DType type = args.x.dtype;
  ForwardMatmul job;
  job.gather = linear_gather(args.x.rows());
  job.gather.channels = static_cast<int>(round_up(args.x.channels(), chunk_of(type)));
  job.x = readable_rows(stream, kSource, args.x, job.gather.channels, 16);
  job.gather.source_pitch = static_cast<int>(job.x.pitch);
  const PackedShape shape = packed_shape(args.w.shape, job.gather.channels, chunk_of(type),
                                         kTileBytesK / static_cast<int>(size_of(type)));
  job.w = pack_weights(stream, args.w, shape, type);
  job.w_pitch = shape.output_pitch;
  forward_matmul(stream, job, args.y, args.epilogue, args.pre_activation);
}

void linear_backward_data(const LinearBackwardData& args, CudaStream& stream) {
  if (stream.vendor() && vendor_linear_backward_data(args, stream)) return;
  const DType type = args.dy.dtype;
  BackwardDataMatmul job;
  job.shape = packed_shape(args.w.shape, static_cast<int>(round_up(args.dx.channels(), chunk_of(type))),
                           chunk_of(type));
  job.dy = readable_rows(stream, kGradient, args.dy, job.shape.output_pitch, 16);
  job.w = pack_weights(stream, args.w, job.shape, type);
  job.gathers = {linear_gather(args.dy.rows())};
  job.gathers[0].channels = job.shape.output_pitch;
  job.gathers[0].source_pitch = static_cast<int>(job.dy.pitch);
  if (args.dx.rows() > 0) backward_data_matmul(stream, job, args.dx);
}

void linear_backward_weight(const LinearBackwardWeight& args, CudaStream& stream) {
  if (args.dbias) sum_rows(stream, args.dy, args.dbias.f32());
  if (stream.vendor() && vendor_linear_backward_weight(args, stream)) return;
  const DType type = args.x.dtype;
  BackwardWeightMatmul job;
  job.gather = linear_gather(args.x.rows());
  job.gather.channels = static_cast<int>(round_up(args.x.channels(), chunk_of(type)));
  job.shape = packed_shape(args.dw.shape, job.gather.channels, chunk_of(type));
  job.x = readable_rows(stream, kSource, args.x, job.gather.channels, 16);
  job.dy = readable_rows(stream, kGradient, args.dy, job.shape.output_pitch, 16);
  job.gather.source_pitch = static_cast<int>(job.x.pitch);
  backward_weight_matmul(stream, job, args.dw);
}

}  // namespace mg
