// The classifier of stage 2: the authors' (projection, fc, layer_norm), two layers (fc1, fc2) or one (fc).
#include "models/classifier.h"

#include "tools/convert/models/parts.h"
#include "train/settings.h"

namespace mg {

ConvertedModel build_classifier(const Source& source, const BuildOptions& options) {
  ConvertedModel model;
  model.kind = "classifier";
  model.keys = classifier_keys(source.weights.tensors, source.path.string());
  TensorMap tensors = renamed(source.weights.tensors, model.keys);
  const bool tied = tensors.contains("projection.weight"), two_layers = tensors.contains("fc1.weight");
  if (!tied && !two_layers && !tensors.contains("fc.weight")) {
    refuse(source, "expected a classifier: projection, fc and layer_norm (the authors'), fc1 and fc2, or fc");
  }
  const std::string first = tied         ? "projection.weight"
                            : two_layers ? "fc1.weight"
                                         : "fc.weight",
                    last = two_layers ? "fc2.weight" : "fc.weight";
  decide(model, source, "classifier.head", tied ? "authors_tied" : two_layers ? "mlp2" : "linear");
  decide(model, source, "model.embedding_dim", extent(tensors, first, 1, source));
  if (two_layers) decide(model, source, "classifier.hidden", extent(tensors, first, 0, source));
  for (const std::string& setting : options.settings) model.config.set(setting);

  const ClassifierConfig config = classifier_config(model.config, extent(tensors, last, 0, source));
  auto classifier = std::make_unique<Classifier>(config);
  model.probe = [classifier = classifier.get(), inputs = config.inputs](Context& ctx) {
    const Value x(drawn_tensor(ctx, "embeddings", {4, inputs}));
    return Probe{{"logits", some_values(classifier->forward(ctx, x).data)}};
  };
  model.module = std::move(classifier);
  load_model(model, std::move(tensors), source, options);
  return model;
}

}  // namespace mg
