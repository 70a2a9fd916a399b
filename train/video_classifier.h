// An imported video network with the classifier that it was trained with, such as torchvision's of Kinetics.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "models/r2plus1d.h"
#include "train/config.h"
#include "train/gesture_scores.h"

namespace mg {

class VideoClassifier {
 public:
  // A folder of `mgconvert import --as r2plus1d` whose weights have fc. Error(ExitCode::checkpoint)
  // otherwise.
  explicit VideoClassifier(const std::filesystem::path& folder);

  // How it wants to see clips: the folder's preprocessing, and what torchvision's weights were trained on.
  const Config& config() const { return config_; }
  std::int64_t classes() const { return classes_; }
  // Logits [clips, classes].
  std::vector<float> scores(Context& ctx, const ClipViews& views, std::span<const std::int64_t> clips);

 private:
  Config config_;
  std::int64_t classes_ = 0;
  std::unique_ptr<R2Plus1d> net_;
};

}  // namespace mg
