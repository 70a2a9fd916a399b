// The same operations by the libraries that are known to be fast. Each makes arrays of its own in the layout
// that it likes. A peer without a name: this build, this machine or this shape has none.
#pragma once

#include "bench/bench.h"
#include "bench/ops/network_shapes.h"

namespace mg {

enum class Direction { forward, backward_data, backward_weight };

Peer conv_peer(Bench& bench, const ConvLayer& layer, Direction direction);
// x [rows, inputs] times w [outputs, inputs] transposed, and its gradients.
Peer linear_peer(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                 Direction direction);
struct AttentionShape {
  std::int64_t batch, heads, queries, keys, dim;
};
// Forward, without dropout.
Peer attention_peer(Bench& bench, const AttentionShape& shape);
// forward: statistics and normalisation in one; backward_data: all gradients.
Peer batch_norm_peer(Bench& bench, std::int64_t rows, std::int64_t channels, Direction direction);

}  // namespace mg
