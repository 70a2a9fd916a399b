// Stage 1: video and text encoders aligned by the contrastive KL loss (paper section II, eq. 5-7), texts
// refined by adaptive prompting.
#pragma once

#include <memory>
#include <vector>

#include "models/wordpiece.h"
#include "train/classes.h"
#include "train/gesture_data.h"
#include "train/gesture_scores.h"
#include "train/stages/stage.h"

namespace mg {

class ContrastiveStage : public Stage {
 public:
  // All references must outlive the stage.
  ContrastiveStage(Context& ctx, ContrastiveModel& model, const WordPiece& tokenizer, const GestureData& data,
                   const std::vector<GestureClass>& classes, const Config& config);

  static StageOptions options(const Config& config, std::int64_t samples);
  const std::string& name() const override { return name_; }
  std::vector<NamedTensor> model() override { return named_tensors(model_); }
  AdamW& optimizer() override { return optimizer_; }
  void prefetch(const StepPlan& plan) override;
  double forward_backward(const StepPlan& plan) override;
  std::optional<StageFigures> evaluate(std::int64_t epoch, bool last) override;

 private:
  struct Mix {  // mixup of one batch
    std::vector<std::int32_t> partner;
    std::vector<float> share;
  };
  struct Captions {  // the distinct captions of a batch: each is encoded once
    std::vector<std::string> texts;
    std::vector<std::int32_t> labels, counts;  // counts: clips that carry it
  };
  Mix mix_of(const StepPlan& plan) const;
  Captions captions_of(const std::vector<std::int64_t>& clips) const;
  // How much each text belongs to each clip: [clips, texts].
  Tensor positives(const std::vector<std::int64_t>& clips, const Captions& captions, const Mix& mix);

  const std::string name_ = "contrastive";
  Context& ctx_;
  ContrastiveModel& model_;
  const WordPiece& tokenizer_;
  const GestureData& data_;
  const Config& config_;
  std::vector<std::int64_t> train_, val_;  // numbers of the clips that can be read
  std::vector<std::int32_t> labels_;       // of every clip of the manifest
  std::size_t max_text_length_;
  TokenBatch class_texts_;
  AdamW optimizer_;
  ClipLoader train_loader_, val_loader_;
};

}  // namespace mg
