// What a configuration means for each part of the system.
#pragma once

#include "data/clip_loader.h"
#include "data/video_reader.h"
#include "engine/optimizer.h"
#include "models/classifier.h"
#include "models/contrastive_model.h"
#include "models/emotion_transformer.h"
#include "models/wordpiece.h"
#include "train/config.h"

namespace mg {

DecodeSpec decode_spec(const Config& config);
InputSpec input_spec(const Config& config);
Augmentation augmentation(const Config& config);
ContrastiveModelConfig contrastive_model_config(const Config& config, std::int64_t vocabulary);
WordPieceOptions wordpiece_options(const Config& config);
ClassifierConfig classifier_config(const Config& config, std::int64_t classes);
EmotionTransformerConfig emotion_config(const Config& config, std::int64_t gestures, std::int64_t emotions);
int loader_threads(const Config& config);  // that prepare batches beside the compute threads
Schedule schedule(const Config& config, const std::string& stage);

}  // namespace mg
