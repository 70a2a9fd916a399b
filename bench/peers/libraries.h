// One function a library and operation; which of them exist, CMake says by MG_PEER_... definitions.
#pragma once

#include "bench/peers/peers.h"

namespace mg {

Peer onednn_conv(Bench& bench, const ConvLayer& layer, Direction direction);
Peer onednn_linear(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                   Direction direction);
Peer cudnn_conv(Bench& bench, const ConvLayer& layer, Direction direction);
Peer cudnn_attention(Bench& bench, const AttentionShape& shape);
Peer cudnn_batch_norm(Bench& bench, std::int64_t rows, std::int64_t channels, Direction direction);
Peer cublaslt_linear(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                     Direction direction);

}  // namespace mg
