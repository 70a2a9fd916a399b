#include "models/classifier.h"

namespace mg {

Classifier::Classifier(const ClassifierConfig& config)
    : dropout_(config.dropout), fc1_(config.inputs, config.hidden), fc2_(config.hidden, config.classes) {
  add_child("fc1", fc1_);
  add_child("fc2", fc2_);
}

Value Classifier::forward(Context& ctx, const Value& x) {
  const Value hidden = fc1_.forward(ctx, x, Activation::gelu);
  return fc2_.forward(ctx, dropout(ctx, hidden, dropout_, site("dropout")));
}

}  // namespace mg
