// The sections of a report, each in a <section> of its own with a heading. What a run does not have is said
// in its place.
#pragma once

#include "train/report/markup.h"
#include "train/report/run_data.h"

namespace mg {

// "classifier" -> "by classifier": how a result's mode is called in the report.
std::string mode_title(const std::string& mode);
bool is_emotion(const Result& result);
// "test, 610 clips, last checkpoint (epoch 30)"
std::string scope_text(const Result& result);
// The splits that have results: test, val, then others by name.
std::vector<std::string> splits_of(const RunData& run);
// A paragraph that says what is not there, and why.
void add_absence(Markup& page, std::string_view text);

void add_headline(Markup& page, const RunData& run);
void add_training(Markup& page, const RunData& run);
void add_gestures(Markup& page, const RunData& run);
void add_emotion(Markup& page, const RunData& run);
void add_shuffling(Markup& page, const RunData& run);  // nothing without such a result
void add_configuration(Markup& page, const RunData& run);
void add_environment(Markup& page, const RunData& run);
void add_problems(Markup& page, const RunData& run);

}  // namespace mg
