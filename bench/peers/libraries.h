// One function a library and operation. oneDNN's are part of mgbench where CMake found it; cuBLASLt's and
// cuDNN's are modules beside the program, loaded when they are first asked for, so that mgbench also starts
// on a machine without these libraries.
#pragma once

#include "bench/peers/peers.h"

namespace mg {

Peer onednn_conv(Bench& bench, const ConvLayer& layer, Direction direction);
Peer onednn_linear(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                   Direction direction);

// What a module offers; null: not that.
struct CudaPeers {
  Peer (*conv)(Bench& bench, const ConvLayer& layer, Direction direction) = nullptr;
  Peer (*attention)(Bench& bench, const AttentionShape& shape) = nullptr;
  Peer (*batch_norm)(Bench& bench, std::int64_t rows, std::int64_t channels, Direction direction) = nullptr;
  Peer (*linear)(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                 Direction direction) = nullptr;
};
// Each module's one entry: it fills in what it has.
extern "C" void mg_add_peers(CudaPeers& peers);

// The module of cuDNN, in cudnn_attention.cpp.
Peer cudnn_attention(Bench& bench, const AttentionShape& shape);

}  // namespace mg
