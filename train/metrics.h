// What a classifier's scores say: accuracies, per-class figures, confusion, and the constant predictor
// beside.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace mg {

// Figures in percent of n. Ties between scores count against the true class: it ranks below every other class
// of its score, so that a model whose scores are all equal gets nothing for it.
struct ClassFigures {
  std::string label;
  std::int64_t n = 0;  // samples of this class
  double recall = 0, precision = 0, f1 = 0;
};
struct Classification {
  std::int64_t n = 0;
  double top1 = 0, top5 = 0;
  double mean_class = 0;               // mean recall over the classes that occur
  double macro_f1 = 0;                 // mean F1 over the classes that occur or are predicted
  double top1_low = 0, top1_high = 0;  // Wilson score interval of top1, 95 %
  std::vector<std::string> labels;
  std::vector<std::vector<std::int64_t>> confusion;  // [true][predicted]
  std::vector<std::int32_t> predicted;               // the class of each sample
  std::vector<ClassFigures> classes;
  // Always answering by frequency among the samples themselves: the most it can reach without looking.
  std::string constant_label;
  double constant_top1 = 0, constant_top5 = 0;
};

// scores [n, labels.size()] row by row, targets [n]. A score that is not finite ranks last.
Classification classify(std::span<const float> scores, std::span<const std::int32_t> targets,
                        const std::vector<std::string>& labels);

// With five classes or fewer every label is among the first five: top-5 is 100 % and says nothing.
bool shows_top5(const Classification& c);

// Keys: n, top1, top5, mean_class, macro_f1, top1_interval [low, high], labels, confusion, per_class (array
// of label, n, recall, precision, f1), constant (label, top1, top5).
nlohmann::ordered_json to_json(const Classification& c);

// A table for people: the figures, the constant predictor beside; with per_class a line a class.
std::string to_table(const Classification& c, bool per_class = false);

}  // namespace mg
