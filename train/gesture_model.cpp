#include "train/gesture_model.h"

#include <algorithm>

#include "train/settings.h"
#include "train/stages/stage.h"

namespace mg {

GestureModel::GestureModel(const RunDirectory& run, Context& ctx, WhichCheckpoint which)
    : run_(run),
      ctx_(ctx),
      which_(which),
      config_(run.config()),
      tokenizer_(WordPiece::load(run.file("vocab.txt"), wordpiece_options(config_))) {
  const auto vocabulary = static_cast<std::int64_t>(tokenizer_.size());
  contrastive_ = std::make_unique<ContrastiveModel>(contrastive_model_config(config_, vocabulary));
  load_contrastive(WhichCheckpoint::last);
  contrastive_->set_frozen(true);
  contrastive_->move_to(ctx);
}

void GestureModel::load_contrastive(WhichCheckpoint which) {
  const CheckpointData trained = finished_stage(run_, "contrastive", which);
  load_tensors(named_tensors(*contrastive_), trained.model, run_.path().string() + ": contrastive");
  contrastive_checkpoint_ = checkpoint_json(trained, which);
  loaded_ = which;
  texts_.clear();
}

const std::vector<GestureClass>& GestureModel::classes() {
  if (classes_.empty()) classes_ = read_classes(run_.file("classes.json"));
  return classes_;
}

GestureMode GestureModel::mode(const std::optional<std::string>& name) const {
  const bool classifier =
      name ? *name == "classifier" : std::filesystem::exists(run_.checkpoints("classifier"));
  return classifier ? GestureMode::classifier : GestureMode::similarity;
}

void GestureModel::load_classifier() {
  const CheckpointData trained = finished_stage(run_, "classifier", which_);
  auto made =
      std::make_unique<Classifier>(classifier_config(config_, static_cast<std::int64_t>(classes().size())));
  load_tensors(named_tensors(*made), trained.model, run_.path().string() + ": classifier");
  made->set_frozen(true);
  made->move_to(ctx_);
  classifier_ = std::move(made);
  classifier_checkpoint_ = checkpoint_json(trained, which_);
}

nlohmann::ordered_json GestureModel::load(GestureMode mode) {
  const bool classifier = mode == GestureMode::classifier;
  const WhichCheckpoint encoder = classifier ? WhichCheckpoint::last : which_;
  if (loaded_ != encoder) load_contrastive(encoder);
  if (!classifier) return contrastive_checkpoint_;
  if (!classifier_) load_classifier();
  return classifier_checkpoint_;
}

std::vector<float> GestureModel::scores(GestureMode mode, const ClipViews& views,
                                        std::span<const std::int64_t> clips) {
  if (mode == GestureMode::similarity) return similarity(captions_of(classes()), views, clips);
  load(mode);
  const Tensor embeddings = clip_embeddings(ctx_, *contrastive_, views, clips);
  return classifier_scores(ctx_, *classifier_, embeddings);
}

std::vector<float> GestureModel::similarity(const std::vector<std::string>& texts, const ClipViews& views,
                                            std::span<const std::int64_t> clips) {
  load(GestureMode::similarity);
  if (texts != texts_) {
    encoded_ =
        encode_for_scores(ctx_, *contrastive_,
                          encode_templated(tokenizer_, text_templates(config_), texts,
                                           static_cast<std::size_t>(config_.integer("text.max_length"))));
    texts_ = texts;
  }
  return similarity_scores(ctx_, *contrastive_, *encoded_, views, clips);
}

std::vector<std::int32_t> best_classes(const std::vector<float>& scores, std::size_t classes) {
  std::vector<std::int32_t> best;
  for (auto row = scores.begin(); row != scores.end(); row += static_cast<std::ptrdiff_t>(classes)) {
    best.push_back(
        static_cast<std::int32_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(classes)) - row));
  }
  return best;
}

}  // namespace mg
