#include "bench/peers/peers.h"

#include <dlfcn.h>
#include <fmt/core.h>

#include "bench/peers/libraries.h"

namespace mg {

namespace {

#if defined(MG_CUDA)
// Modules stay loaded: what they made may live as long as the program.
CudaPeers load_cuda_peers() {
  CudaPeers peers;
  for (const char* name : {"mgbench_cublaslt.so", "mgbench_cudnn.so"}) {
    void* module = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (module == nullptr) {
      fmt::print("no peer: {}\n", ::dlerror());
      continue;
    }
    reinterpret_cast<decltype(&mg_add_peers)>(::dlsym(module, "mg_add_peers"))(peers);
  }
  return peers;
}

// A library that refuses a shape is no reason to stop; where nothing is timed, it is a fault of ours.
template <class... Parameters, class... Arguments>
Peer cuda_peer(Peer (*CudaPeers::*make)(Parameters...), Bench& bench, Arguments&&... arguments) {
  static const CudaPeers peers = load_cuda_peers();
  if (peers.*make == nullptr) return {};
  if (bench.counting) return (peers.*make)(bench, arguments...);
  try {
    return (peers.*make)(bench, arguments...);
  } catch (const CudaError& e) {
    fmt::print("no peer: {}\n", e.what());
    return {};
  }
}
#endif

}  // namespace

// Which library stands beside ours depends on the stream, and on what this build found.
Peer conv_peer(Bench& bench, const ConvLayer& layer, Direction direction) {
  static_cast<void>(bench), static_cast<void>(layer), static_cast<void>(direction);
#if defined(MG_CUDA)
  if (bench.on_cuda()) return cuda_peer(&CudaPeers::conv, bench, layer, direction);
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
#if defined(MG_CUDA)
  if (bench.on_cuda()) return cuda_peer(&CudaPeers::linear, bench, rows, inputs, outputs, direction);
#endif
#if defined(MG_PEER_ONEDNN)
  if (!bench.on_cuda()) return onednn_linear(bench, rows, inputs, outputs, direction);
#endif
  return {};
}

Peer attention_peer(Bench& bench, const AttentionShape& shape) {
  static_cast<void>(bench), static_cast<void>(shape);
#if defined(MG_CUDA)
  if (bench.on_cuda()) return cuda_peer(&CudaPeers::attention, bench, shape);
#endif
  return {};
}

Peer batch_norm_peer(Bench& bench, std::int64_t rows, std::int64_t channels, Direction direction) {
  static_cast<void>(bench), static_cast<void>(rows), static_cast<void>(channels),
      static_cast<void>(direction);
#if defined(MG_CUDA)
  if (bench.on_cuda()) return cuda_peer(&CudaPeers::batch_norm, bench, rows, channels, direction);
#endif
  return {};
}

}  // namespace mg
