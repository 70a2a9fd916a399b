#include "bench/peers/peers.h"

#include <fmt/core.h>

#include "bench/peers/libraries.h"

namespace mg {

namespace {

// A library that refuses a shape is no reason to stop; where nothing is timed, it is a fault of ours.
template <class Make>
[[maybe_unused]] Peer made(const Bench& bench, Make make) {
  if (bench.counting) return make();
  try {
    return make();
  } catch (const CudaError& e) {
    fmt::print("no peer: {}\n", e.what());
    return {};
  }
}

}  // namespace

// Which library stands beside ours depends on the stream, and on what this build found.
Peer conv_peer(Bench& bench, const ConvLayer& layer, Direction direction) {
  static_cast<void>(bench), static_cast<void>(layer), static_cast<void>(direction);
#if defined(MG_PEER_CUDNN)
  if (bench.on_cuda()) return made(bench, [&] { return cudnn_conv(bench, layer, direction); });
#endif
#if defined(MG_PEER_ONEDNN)
  if (!bench.on_cuda()) return onednn_conv(bench, layer, direction);
#endif
  return {};
}

Peer linear_peer(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                 Direction direction) {
  static_cast<void>(bench), static_cast<void>(rows), static_cast<void>(inputs), static_cast<void>(outputs);
  static_cast<void>(direction);
#if defined(MG_PEER_CUBLASLT)
  if (bench.on_cuda()) {
    return made(bench, [&] { return cublaslt_linear(bench, rows, inputs, outputs, direction); });
  }
#endif
#if defined(MG_PEER_ONEDNN)
  if (!bench.on_cuda()) return onednn_linear(bench, rows, inputs, outputs, direction);
#endif
  return {};
}

Peer attention_peer(Bench& bench, const AttentionShape& shape) {
  static_cast<void>(bench), static_cast<void>(shape);
#if defined(MG_PEER_CUDNN)
  if (bench.on_cuda()) return made(bench, [&] { return cudnn_attention(bench, shape); });
#endif
  return {};
}

Peer batch_norm_peer(Bench& bench, std::int64_t rows, std::int64_t channels, Direction direction) {
  static_cast<void>(bench), static_cast<void>(rows), static_cast<void>(channels),
      static_cast<void>(direction);
#if defined(MG_PEER_CUDNN)
  if (bench.on_cuda()) {
    return made(bench, [&] { return cudnn_batch_norm(bench, rows, channels, direction); });
  }
#endif
  return {};
}

}  // namespace mg
