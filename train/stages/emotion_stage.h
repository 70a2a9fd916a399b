// Stage 3: emotion from the sequence of gestures that the recogniser saw in a video (paper section II).
#pragma once

#include <string>
#include <vector>

#include "data/emotion_join.h"
#include "data/manifest.h"
#include "models/emotion_transformer.h"
#include "train/classes.h"
#include "train/stages/stage.h"

namespace mg {

// What the model reads of each gesture class: the class itself, or the word pieces of its caption in the
// run's vocabulary, as emotion.tokens says.
struct GestureTokens {
  std::int64_t kinds = 0;  // of tokens
  std::vector<std::vector<std::int32_t>> of_class;
};
GestureTokens gesture_tokens(const RunDirectory& run, const std::vector<GestureClass>& classes);

// The tokens of a video's recognised gestures in time order, and its emotion.
struct EmotionSample {
  std::string video, split;
  std::vector<std::int32_t> tokens;  // none where no clip could be decoded
  std::int32_t emotion = -1;
};

// Joins the emotions with the clips of their videos (join_emotions), without videos that have none. gestures:
// the recognised class of every clip of the manifest, -1 where it could not be decoded. Sequences beyond
// max_length keep their last tokens. An emotion that is none of emotions is an Error(ExitCode::data).
std::vector<EmotionSample> emotion_samples(const EmotionLabels& labels,
                                           const std::vector<std::string>& emotions, const Manifest& manifest,
                                           const std::vector<std::int32_t>& gestures,
                                           const GestureTokens& tokens, std::int64_t max_length);

// join_emotions, whose notes and those of the labels go to stderr.
EmotionJoin join_with_notes(const EmotionLabels& labels, const Manifest& manifest);

// What would end the training of emotions shows before hours of decoding: too few emotions, no join, no video
// to train on are an Error(ExitCode::data). What else a reader should know goes to stderr.
void check_emotions(const EmotionLabels& labels, const Manifest& manifest);

// Names the videos without tokens on stderr. emotions: the file they come from.
void note_unread(const std::vector<EmotionSample>& samples, const std::filesystem::path& emotions);

std::vector<std::int32_t> emotions_of(const std::vector<EmotionSample>& samples);

// Emotions that occur, sorted.
std::vector<std::string> distinct_emotions(const EmotionLabels& labels);

// Logits [samples, emotions]; minus infinity, which ranks last, of a video without tokens.
std::vector<float> emotion_scores(Context& ctx, EmotionTransformer& model,
                                  const std::vector<EmotionSample>& samples, std::int64_t emotions);

class EmotionStage : public Stage {
 public:
  // samples of all splits, of which those without tokens are not trained on; token_kinds and emotions: how
  // many there are.
  EmotionStage(Context& ctx, EmotionTransformer& model, const std::vector<EmotionSample>& samples,
               std::int64_t token_kinds, std::int64_t emotions, const Config& config);

  StageOptions options() const;
  const std::string& name() const override { return name_; }
  std::string unit() const override { return "videos"; }
  std::vector<NamedTensor> model() override { return named_tensors(model_); }
  AdamW& optimizer() override { return optimizer_; }
  Late<float> forward_backward(const StepPlan& plan) override;
  std::optional<StageFigures> evaluate(std::int64_t epoch, bool last) override;

 private:
  const std::string name_ = "emotion";
  Context& ctx_;
  EmotionTransformer& model_;
  std::vector<EmotionSample> train_, val_;
  std::int64_t token_kinds_, emotions_;
  const Config& config_;
  AdamW optimizer_;
};

}  // namespace mg
