// How well a run tells labels apart that it need not have been trained on: by the similarity of a clip to
// their texts alone.
#pragma once

#include <string>

#include "train/evaluation.h"

namespace mg {

// Every clip of the split, each with the labels to choose from: those of a file (read_label_list), or, for
// "manifest", those that the split's clips have. The text of a label is the caption that it was trained with,
// else the manifest's, else the label itself. A clip whose label is none of them is an Error(ExitCode::data).
//
// The JSON says in zero_shot which labels training saw and lacked, the accuracy of chance, and, as
// "generalized", what comes out when the trained labels may be chosen too: top-1 of the clips with trained
// labels and of the others, and the harmonic mean of the two.
Evaluation evaluate_zero_shot(Context& ctx, GestureModel& model, const GestureData& data,
                              const std::string& split, const std::string& labels, bool shuffle_frames);

}  // namespace mg
