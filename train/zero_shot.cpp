#include "train/zero_shot.h"

#include <algorithm>
#include <map>

#include "train/label_list.h"

namespace mg {

namespace {

// The labels to choose from come first, then the other trained ones.
struct Candidates {
  std::vector<GestureClass> all;
  std::size_t chosen = 0;
  std::vector<std::string> seen, unseen;  // of the chosen

  std::vector<GestureClass> first() const {
    return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(chosen)};
  }
};

Candidates candidates_of(const std::vector<GestureClass>& trained, const std::vector<Clip>& clips,
                         const std::string& labels) {
  std::map<std::string, std::string> captions, trained_captions;
  for (const GestureClass& c : gesture_classes(clips)) captions[c.label] = c.caption;
  for (const GestureClass& c : trained) trained_captions[c.label] = captions[c.label] = c.caption;
  Candidates result;
  std::map<std::string, bool> is_chosen;
  for (const std::string& label :
       labels == "manifest" ? labels_of(gesture_classes(clips)) : read_label_list(labels)) {
    const auto caption = captions.find(label);
    result.all.push_back({label, caption == captions.end() ? label : caption->second});
    (trained_captions.contains(label) ? result.seen : result.unseen).push_back(label);
    is_chosen[label] = true;
  }
  result.chosen = result.all.size();
  for (const GestureClass& c : trained) {
    if (!is_chosen.contains(c.label)) result.all.push_back(c);
  }
  return result;
}

// The first columns of a table of scores.
std::vector<float> first_columns(const std::vector<float>& scores, std::size_t width, std::size_t count) {
  std::vector<float> some;
  for (std::size_t row = 0; row + width <= scores.size(); row += width) {
    const auto begin = scores.begin() + static_cast<std::ptrdiff_t>(row);
    some.insert(some.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  }
  return some;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

// With every trained label to choose from too.
nlohmann::ordered_json generalized(const Classification& c, const std::vector<std::string>& seen) {
  std::int64_t n[2] = {0, 0}, right[2] = {0, 0};  // of trained labels, of others
  for (std::size_t k = 0; k < c.labels.size(); ++k) {
    const bool is_other = std::find(seen.begin(), seen.end(), c.labels[k]) == seen.end();
    n[is_other] += c.classes[k].n;
    right[is_other] += c.confusion[k][k];
  }
  nlohmann::ordered_json json{{"labels", c.labels.size()},
                              {"top1", c.top1},
                              {"top5", c.top5},
                              {"chance", 100.0 / static_cast<double>(c.labels.size())},
                              {"seen", {{"n", n[0]}, {"top1", share(right[0], n[0])}}},
                              {"unseen", {{"n", n[1]}, {"top1", share(right[1], n[1])}}}};
  if (n[0] > 0 && n[1] > 0) {
    const double a = share(right[0], n[0]), b = share(right[1], n[1]);
    json["harmonic_mean"] = a + b > 0 ? 2 * a * b / (a + b) : 0;
  }
  return json;
}

std::string remarks(const Evaluation& e, const Candidates& candidates) {
  const auto& general = e.json["zero_shot"]["generalized"];
  const auto part = [&](const char* name) {
    return general[name]["n"] == 0 ? std::string("none")
                                   : fmt::format("{:.2f} % of {} clips", general[name]["top1"].get<double>(),
                                                 general[name]["n"].get<std::int64_t>());
  };
  std::string text = fmt::format("{:<22}{:>8.2f} %   one of {} labels\n", "chance",
                                 e.json["zero_shot"]["chance"].get<double>(), candidates.chosen);
  text += fmt::format("{} of the {} labels are new to the model, {} were trained.\n",
                      candidates.unseen.size(), candidates.chosen, candidates.seen.size());
  if (candidates.all.size() == candidates.chosen && candidates.seen.empty()) return text;
  text += fmt::format("top-1 among these and all trained labels ({}): new {}, trained {}.\n",
                      candidates.all.size(), part("unseen"), part("seen"));
  return text;
}

}  // namespace

Evaluation evaluate_zero_shot(Context& ctx, GestureModel& model, const GestureData& data,
                              const std::string& split_name, const std::string& labels, bool shuffle_frames) {
  const std::string split = standard_split(split_name);
  const std::vector<std::int64_t> clips = require_split(data.manifest(), split);
  std::vector<Clip> of_split;
  of_split.reserve(clips.size());
  for (std::int64_t i : clips) of_split.push_back(data.manifest().clips[static_cast<std::size_t>(i)]);
  const Candidates candidates = candidates_of(model.classes(), of_split, labels);
  if (candidates.chosen < 2) {
    throw Error(ExitCode::data,
                "{}: the split '{}' has one label only: --labels FILE lists more to choose from",
                data.manifest().path.string(), split);
  }
  require_known_labels(data.manifest(), clips, candidates.first(), "are in " + labels, "");
  const auto scores = scores_of(ctx, model.config(), data, clips, candidates.all.size(), shuffle_frames,
                                [&](const ClipViews& views, const auto& readable) {
                                  return model.similarity(captions_of(candidates.all), views, readable);
                                });
  const auto targets = select(class_numbers(data.manifest(), candidates.first()), clips);
  Evaluation result =
      evaluation_of(data, split, clips, first_columns(scores, candidates.all.size(), candidates.chosen),
                    targets, labels_of(candidates.first()));
  const std::vector<std::string> trained = labels_of(model.classes());
  result.json["stage"] = "contrastive";
  result.json["mode"] = "zero-shot";
  result.json["checkpoint"] = model.load(GestureMode::similarity);
  if (shuffle_frames) result.json["shuffled"] = true;
  result.json["zero_shot"] = {
      {"labels", labels},
      {"seen", candidates.seen},
      {"unseen", candidates.unseen},
      {"chance", 100.0 / static_cast<double>(candidates.chosen)},
      {"generalized", generalized(classify(scores, targets, labels_of(candidates.all)), trained)}};
  result.remarks = remarks(result, candidates);
  return result;
}

}  // namespace mg
