// Stage 1: video and text encoders aligned by the contrastive KL loss (paper section II, eq. 5-7), texts
// refined by adaptive prompting.
#pragma once

#include <memory>
#include <vector>

#include "models/wordpiece.h"
#include "train/classes.h"
#include "train/gesture_data.h"
#include "train/gesture_scores.h"
#include "train/machine.h"
#include "train/stages/stage.h"

namespace mg {

// A clip as the loss sees it.
struct CaptionedClip {
  std::string caption;
  std::int32_t label;
};

// The distinct captions of a batch: each is encoded once.
struct BatchCaptions {
  std::vector<std::string> texts;
  std::vector<std::int32_t> labels;   // of the first clip that carries the text
  std::vector<std::int32_t> counts;   // clips that carry it
  std::vector<std::int32_t> of_clip;  // [clips], which of texts it is
};
BatchCaptions distinct_captions(const std::vector<CaptionedClip>& clips);
// Every clip's caption by itself, for texts that differ by the clip they belong to.
BatchCaptions caption_of_each(const std::vector<CaptionedClip>& clips);

// Mixup of a batch: clip i is share[i] itself and for the rest partner[i]. Empty: none.
struct Mix {
  std::vector<std::int32_t> partner;
  std::vector<float> share;
};

// How much each text belongs to each clip, [clips, texts]: to those that carry it or have its label, in the
// shares of mix.
Tensor positives(const std::vector<CaptionedClip>& clips, const BatchCaptions& captions, const Mix& mix);

// The first stage's loss: of encoded clips, and of their distinct captions as tokens.
Value contrastive_batch_loss(Context& ctx, ContrastiveModel& model, const EncodedVideo& video,
                             const TokenBatch& caption_tokens, const std::vector<CaptionedClip>& clips,
                             const Mix& mix, const Config& config);

class ContrastiveStage : public Stage {
 public:
  // All references must outlive the stage.
  ContrastiveStage(Context& ctx, ContrastiveModel& model, const WordPiece& tokenizer, const GestureData& data,
                   const std::vector<GestureClass>& classes, const Config& config);

  StageOptions options() const;
  const std::string& name() const override { return name_; }
  std::vector<NamedTensor> model() override { return named_tensors(model_); }
  AdamW& optimizer() override { return optimizer_; }
  void prefetch(const StepPlan& plan) override;
  Late<float> forward_backward(const StepPlan& plan) override;
  std::optional<StageFigures> evaluate(std::int64_t epoch, bool last) override;

 private:
  Mix mix_of(const StepPlan& plan) const;
  std::vector<CaptionedClip> captioned(const std::vector<std::int64_t>& clips) const;
  TokenBatch tokens_of(const BatchCaptions& captions) const;
  Value loss_of(const EncodedVideo& video, const std::vector<CaptionedClip>& clips, const Mix& mix);

  const std::string name_ = "contrastive";
  Context& ctx_;
  ContrastiveModel& model_;
  const WordPiece& tokenizer_;
  const GestureData& data_;
  const Config& config_;
  std::vector<std::int64_t> train_, val_;  // numbers of the clips that can be read
  std::vector<std::int32_t> labels_;       // of every clip of the manifest
  std::size_t max_text_length_;
  std::vector<std::string> templates_;
  TemplatedTexts class_texts_;
  AdamW optimizer_;
  ClipLoader train_loader_, val_loader_;
  InputBatches train_batches_;
};

}  // namespace mg
