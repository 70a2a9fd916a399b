#include "models/classifier.h"

namespace mg {

Classifier::Classifier(const ClassifierConfig& config) : head_(config.head), dropout_(config.dropout) {
  const std::int64_t inputs = config.inputs, classes = config.classes;
  switch (head_) {
    case ClassifierHead::mlp2:
      first_ = std::make_unique<Linear>(inputs, config.hidden);
      last_ = std::make_unique<Linear>(config.hidden, classes);
      add_child("fc1", *first_);
      add_child("fc2", *last_);
      return;
    case ClassifierHead::authors_tied:
      first_ = std::make_unique<Linear>(inputs, classes);
      last_ = std::make_unique<Linear>(classes, classes);
      norm_ = std::make_unique<LayerNorm>(classes);
      add_child("projection", *first_);
      add_child("fc", *last_);
      add_child("layer_norm", *norm_);
      return;
    case ClassifierHead::linear:
      last_ = std::make_unique<Linear>(inputs, classes);
      add_child("fc", *last_);
      return;
  }
}

Value Classifier::forward(Context& ctx, const Value& x) {
  const auto drop = [&](const Value& hidden) { return dropout(ctx, hidden, dropout_, site("dropout")); };
  switch (head_) {
    case ClassifierHead::mlp2:
      return last_->forward(ctx, drop(first_->forward(ctx, x, Activation::gelu)));
    case ClassifierHead::authors_tied: {
      const Value projected = first_->forward(ctx, x);
      const Value refined = drop(last_->forward(ctx, activate(ctx, projected, Activation::gelu)));
      return last_->forward(ctx, norm_->forward(ctx, add(ctx, refined, projected)));
    }
    case ClassifierHead::linear:
      break;
  }
  return last_->forward(ctx, x);
}

}  // namespace mg
