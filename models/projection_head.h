// The projection into the joint embedding space: p = W1 x; LayerNorm(p + Dropout(W2 GELU(p))), as in the
// authors' released code.
#pragma once

#include "engine/layers.h"

namespace mg {

class ProjectionHead : public Module {
 public:
  ProjectionHead(std::int64_t inputs, std::int64_t dim, float dropout = 0.1f);
  // x [..., inputs] -> [..., dim]
  Value forward(Context& ctx, const Value& x);

 private:
  float dropout_;
  Linear projection_, fc_;
  LayerNorm layer_norm_;
};

}  // namespace mg
