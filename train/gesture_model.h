// The gesture recogniser of a run: what stages 1 and 2 made, loaded for use.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/wordpiece.h"
#include "train/classes.h"
#include "train/gesture_scores.h"
#include "train/run_directory.h"
#include "train/stages/best_checkpoint.h"

namespace mg {

enum class GestureMode {
  similarity,  // the class whose text is nearest
  classifier,  // stage 2's
};

class GestureModel {
 public:
  // Loads the contrastive model; the classifier when it is first asked for. which: the checkpoint of the
  // stage that gives the scores; the classifier reads the last encoder in either case, on which it was
  // trained. Error(ExitCode::checkpoint) when a stage that is needed is not finished.
  GestureModel(const RunDirectory& run, Context& ctx, WhichCheckpoint which = WhichCheckpoint::last);

  ContrastiveModel& contrastive() { return *contrastive_; }  // the last
  // Read when first asked for: an imported model may know none, and names what --labels lists.
  const std::vector<GestureClass>& classes();
  const Config& config() const { return config_; }
  // The mode asked for; without one, the classifier if its training was begun, else similarity.
  GestureMode mode(const std::optional<std::string>& name) const;

  // Loads what scores of this mode need, so that what is missing shows before long work. Returns which
  // checkpoint gives the scores, as checkpoint_json describes it.
  nlohmann::ordered_json load(GestureMode mode);
  // Scores [clips, classes].
  std::vector<float> scores(GestureMode mode, const ClipViews& views, std::span<const std::int64_t> clips);
  // Similarity to any texts, [clips, texts].
  std::vector<float> similarity(const std::vector<std::string>& texts, const ClipViews& views,
                                std::span<const std::int64_t> clips);

 private:
  void load_contrastive(WhichCheckpoint which);
  void load_classifier();

  const RunDirectory& run_;
  Context& ctx_;
  WhichCheckpoint which_, loaded_ = WhichCheckpoint::last;  // loaded_: what contrastive_ holds
  Config config_;
  std::vector<GestureClass> classes_;
  std::vector<std::string> texts_;  // those encoded last, for clips that come group by group
  std::optional<Value> encoded_;
  WordPiece tokenizer_;
  std::unique_ptr<ContrastiveModel> contrastive_;
  std::unique_ptr<Classifier> classifier_;
  nlohmann::ordered_json contrastive_checkpoint_, classifier_checkpoint_;
};

// The number of the highest score of each row; ties go to the first.
std::vector<std::int32_t> best_classes(const std::vector<float>& scores, std::size_t classes);

}  // namespace mg
