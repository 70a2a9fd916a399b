// The second stage's classifier on a clip's embedding x:
//
//   mlp2           Linear, GELU, Dropout, Linear: the paper's two-layer MLP
//   authors_tied   p = W1 x; W2 LayerNorm(p + Dropout(W2 GELU(p))) with the same W2 twice: the authors'
//   released code
//                  and checkpoint (ProjectionHead2), all of it as wide as there are classes
//   linear         Linear
#pragma once

#include <memory>

#include "engine/layers.h"

namespace mg {

enum class ClassifierHead { mlp2, authors_tied, linear };

struct ClassifierConfig {
  ClassifierHead head = ClassifierHead::mlp2;
  std::int64_t inputs = 256;
  std::int64_t hidden = 256;  // mlp2's
  std::int64_t classes = 2;
  float dropout = 0.1f;
};

// Names: fc1, fc2; projection, fc, layer_norm; fc.
class Classifier : public Module {
 public:
  explicit Classifier(const ClassifierConfig& config);
  // x [B, inputs] -> logits [B, classes]
  Value forward(Context& ctx, const Value& x);

 private:
  ClassifierHead head_;
  float dropout_;
  std::unique_ptr<Linear> first_, last_;  // linear has only the last
  std::unique_ptr<LayerNorm> norm_;       // authors_tied's
};

}  // namespace mg
