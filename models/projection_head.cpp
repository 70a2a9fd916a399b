#include "models/projection_head.h"

namespace mg {

ProjectionHead::ProjectionHead(std::int64_t inputs, std::int64_t dim, float dropout)
    : dropout_(dropout), projection_(inputs, dim), fc_(dim, dim), layer_norm_(dim) {
  add_child("projection", projection_);
  add_child("fc", fc_);
  add_child("layer_norm", layer_norm_);
}

Value ProjectionHead::forward(Context& ctx, const Value& x) {
  const Value projected = projection_.forward(ctx, x);
  const Value refined = fc_.forward(ctx, activate(ctx, projected, Activation::gelu));
  return layer_norm_.forward(ctx, add(ctx, dropout(ctx, refined, dropout_, site("dropout")), projected));
}

}  // namespace mg
