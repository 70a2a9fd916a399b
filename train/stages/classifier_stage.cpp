#include "train/stages/classifier_stage.h"

#include <algorithm>

#include "train/classes.h"
#include "train/machine.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/settings.h"

namespace mg {

namespace {

std::vector<ParameterGroup> parameter_groups(Classifier& classifier, const Config& config) {
  return {{"classifier", classifier.parameters(), config.real("classifier.lr"),
           config.real("classifier.weight_decay")}};
}

}  // namespace

Tensor smoothed_targets(const std::vector<std::int32_t>& labels, std::int64_t classes, float smoothing) {
  Tensor targets(heap_allocator(), {static_cast<std::int64_t>(labels.size()), classes}, Layout::dense);
  std::fill_n(targets.f32(), targets.count(), smoothing / static_cast<float>(classes));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    targets.f32()[static_cast<std::int64_t>(i) * classes + labels[i]] += 1 - smoothing;
  }
  return targets;
}

ClassifierStage::ClassifierStage(Context& ctx, ContrastiveModel& encoder, Classifier& classifier,
                                 const GestureData& data, const std::vector<std::int32_t>& labels,
                                 std::int64_t classes, const Config& config)
    : ctx_(ctx),
      classifier_(classifier),
      config_(config),
      classes_(classes),
      optimizer_(parameter_groups(classifier, config), {}) {
  const std::vector<std::int64_t> train = data.readable_of_split("train"),
                                  val = data.readable_of_split("val");
  const auto views = static_cast<std::uint32_t>(config.integer("classifier.views"));
  const auto count = static_cast<std::int64_t>(train.size()), dim = config.integer("model.embedding_dim");
  ClipLoader loader = make_loader(ctx, data.frames(), config);
  Progress progress("encoding", views * count, "views");
  train_ = Tensor(heap_allocator(), {views * count, dim}, Layout::dense);
  for (std::uint32_t view = 0; view < views; ++view) {
    const RandomKey key{ctx.seed, view, random_site("classifier.augment")};
    const ClipViews augmented{.loader = loader, .config = config, .augment = &key};
    const Tensor embeddings = clip_embeddings(ctx, encoder, augmented, train);
    std::copy_n(embeddings.f32(), embeddings.count(), train_.f32() + view * embeddings.count());
    const std::vector<std::int32_t> some = select(labels, train);
    train_labels_.insert(train_labels_.end(), some.begin(), some.end());
    progress.update((view + 1) * count);
  }
  val_ = clip_embeddings(ctx, encoder, {.loader = loader, .config = config}, val);
  val_labels_ = select(labels, val);
}

StageOptions ClassifierStage::options() const {
  return {.samples = train_.rows(),
          .batch = config_.integer("classifier.batch"),
          .epochs = config_.integer("classifier.epochs"),
          .schedule = schedule(config_, "classifier")};
}

Late<float> ClassifierStage::forward_backward(const StepPlan& plan) {
  const std::int64_t dim = train_.channels();
  Tensor batch(ctx_.staging, {static_cast<std::int64_t>(plan.samples.size()), dim}, Layout::dense);
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < plan.samples.size(); ++i) {
    std::copy_n(train_.f32() + plan.samples[i] * dim, dim, batch.f32() + static_cast<std::int64_t>(i) * dim);
    labels.push_back(train_labels_[static_cast<std::size_t>(plan.samples[i])]);
  }
  Tape tape;
  const Restore<Tape*> recording(ctx_.tape, &tape);
  const Restore<bool> training(ctx_.training, true);
  const Tensor targets = smoothed_targets(labels, classes_, config_.single("classifier.label_smoothing"));
  const Value loss = cross_entropy(ctx_, classifier_.forward(ctx_, Value(ctx_.activation(batch))), targets);
  tape.backward(ctx_, loss);
  return ctx_.read_later<float>(loss.data);
}

std::optional<StageFigures> ClassifierStage::evaluate(std::int64_t, bool) {
  if (val_labels_.empty()) return {};
  const std::vector<float> scores = classifier_scores(ctx_, classifier_, val_);
  refuse_unusable_scores(scores, static_cast<std::size_t>(classes_),
                         [](std::size_t row) { return fmt::format("clip {} of the val split", row); });
  const Classification c =
      classify(scores, val_labels_, std::vector<std::string>(static_cast<std::size_t>(classes_)));
  return StageFigures{c.top1, c.top5};
}

}  // namespace mg
