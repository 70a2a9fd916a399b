// The second stage's classifier: Linear, GELU, Dropout, Linear on a clip's embedding.
#pragma once

#include "engine/layers.h"

namespace mg {

struct ClassifierConfig {
  std::int64_t inputs = 256;
  std::int64_t hidden = 256;
  std::int64_t classes = 2;
  float dropout = 0.1f;
};

class Classifier : public Module {
 public:
  explicit Classifier(const ClassifierConfig& config);
  // x [B, inputs] -> logits [B, classes]
  Value forward(Context& ctx, const Value& x);

 private:
  float dropout_;
  Linear fc1_, fc2_;
};

}  // namespace mg
