// Stage 2: a classifier on the embeddings of the frozen video encoder (paper section II). The encoder runs
// once over a number of augmented views of every training clip; the classifier then learns from those.
#pragma once

#include <vector>

#include "train/gesture_data.h"
#include "train/gesture_scores.h"
#include "train/stages/stage.h"

namespace mg {

class ClassifierStage : public Stage {
 public:
  // Encodes the views. encoder is the model that stage 1 trained.
  ClassifierStage(Context& ctx, ContrastiveModel& encoder, Classifier& classifier, const GestureData& data,
                  const std::vector<std::int32_t>& labels, std::int64_t classes, const Config& config);

  StageOptions options() const;
  const std::string& name() const override { return name_; }
  std::string unit() const override { return "views"; }
  std::vector<NamedTensor> model() override { return named_tensors(classifier_); }
  AdamW& optimizer() override { return optimizer_; }
  Late<float> forward_backward(const StepPlan& plan) override;
  std::optional<StageFigures> evaluate(std::int64_t epoch, bool last) override;

 private:
  const std::string name_ = "classifier";
  Context& ctx_;
  Classifier& classifier_;
  const Config& config_;
  std::int64_t classes_;
  AdamW optimizer_;
  Tensor train_, val_;  // [views x clips, D] and [clips, D]
  std::vector<std::int32_t> train_labels_, val_labels_;
};

// Probabilities [labels.size(), classes]: 1 at the label, smoothing spread evenly over all classes.
Tensor smoothed_targets(const std::vector<std::int32_t>& labels, std::int64_t classes, float smoothing);

}  // namespace mg
