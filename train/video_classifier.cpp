#include "train/video_classifier.h"

#include "engine/checkpoint.h"
#include "train/import_folder.h"
#include "train/settings.h"

namespace mg {

VideoClassifier::VideoClassifier(const std::filesystem::path& folder) {
  const ImportFolder weights(folder);
  const TensorMap tensors = read_safetensors(weights.file(kWeightsFile)).tensors;
  const auto fc = tensors.find("fc.weight");
  if (weights.kind() != "r2plus1d" || fc == tensors.end()) {
    throw Error(ExitCode::checkpoint,
                "{}: expected a run, or an imported r2plus1d with its classifier fc; this is a {}{}",
                folder.string(), weights.kind(), weights.kind() == "r2plus1d" ? " without fc" : "");
  }
  config_.set("video.frames=16");  // as many as Kinetics' weights were trained on
  config_.load_file(weights.file("config.toml"));
  classes_ = fc->second.dim(0);
  R2Plus1dConfig network = contrastive_model_config(config_, 1).video;
  network.classes = classes_;
  net_ = std::make_unique<R2Plus1d>(network);
  load_tensors(named_tensors(*net_), tensors, folder.string());
}

std::vector<float> VideoClassifier::scores(Context& ctx, const ClipViews& views,
                                           std::span<const std::int64_t> clips) {
  net_->move_to(ctx);
  std::vector<float> scores;
  for_each_batch(ctx, views, clips, [&](const Value& frames, std::int64_t) {
    const std::vector<float> logits = to_vector(net_->logits(ctx, net_->forward(ctx, frames)).data);
    scores.insert(scores.end(), logits.begin(), logits.end());
  });
  return scores;
}

}  // namespace mg
