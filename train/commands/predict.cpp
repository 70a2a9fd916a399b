// mgtrain predict
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "train/commands/commands.h"
#include "train/commands/options.h"
#include "train/gesture_model.h"
#include "train/import_folder.h"
#include "train/label_list.h"
#include "train/settings.h"
#include "train/video_classifier.h"

namespace mg {

namespace {

std::vector<double> softmax(const float* scores, std::size_t count) {
  const double top = *std::max_element(scores, scores + count);
  std::vector<double> p(count);
  for (std::size_t i = 0; i < count; ++i) p[i] = std::exp(scores[i] - top);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

struct PredictCommand {
  std::filesystem::path run, labels;
  std::vector<std::string> videos;
  std::size_t top = 5;
  bool json = false;
  WhichCheckpoint which = WhichCheckpoint::last;
  MachineOptions machine{.threads = 0, .device = "auto"};

  void predict() const {
    const std::vector<std::string> texts =
        labels.empty() ? std::vector<std::string>() : read_label_list(labels);
    const bool is_run = std::filesystem::exists(run / "ckpt"),
               is_import = std::filesystem::exists(run / kCertificateFile);
    if (is_import && !is_run) {
      if (which == WhichCheckpoint::best)
        throw Error(ExitCode::usage, "--checkpoint best: {} is an imported network, which has one only",
                    run.string());
      predict_classes(texts);
    } else {
      predict_gestures(texts);
    }
  }

 private:
  // By a run's model: its classes, or any texts.
  void predict_gestures(const std::vector<std::string>& texts) const {
    const RunDirectory directory(run);
    Context ctx = make_context(directory.config(), machine);
    GestureModel model(directory, ctx, which);
    model.load(texts.empty() ? model.mode({}) : GestureMode::similarity);
    const std::vector<float> scores =
        on_videos(ctx, model.config(), [&](const ClipViews& views, const auto& clips) {
          return texts.empty() ? model.scores(model.mode({}), views, clips)
                               : model.similarity(texts, views, clips);
        });
    print(scores, texts.empty() ? labels_of(model.classes()) : texts);
  }

  // By an imported network's own classifier, whose classes names, if given, name.
  void predict_classes(std::vector<std::string> names) const {
    VideoClassifier network(run);
    Context ctx = make_context(network.config(), machine);
    const auto classes = static_cast<std::size_t>(network.classes());
    if (!names.empty() && names.size() != classes) {
      throw Error(ExitCode::data, "{}: {} labels, but the network has {} classes", labels.string(),
                  names.size(), classes);
    }
    for (std::size_t k = names.size(); k < classes; ++k) names.push_back(fmt::format("class {}", k));
    print(on_videos(
              ctx, network.config(),
              [&](const ClipViews& views, const auto& clips) { return network.scores(ctx, views, clips); }),
          names);
  }

  template <class Score>
  std::vector<float> on_videos(Context& ctx, const Config& config, Score score) const {
    const MemoryFrames frames = decode(decode_spec(config));
    ClipLoader loader = make_loader(ctx, frames, config);
    std::vector<std::int64_t> clips(videos.size());
    std::iota(clips.begin(), clips.end(), std::int64_t{0});
    return score(ClipViews{.loader = loader, .config = config}, clips);
  }

  MemoryFrames decode(const DecodeSpec& spec) const {
    std::vector<Frames> frames;
    for (const std::string& video : videos) {
      Clip clip;
      clip.name = video;
      clip.path = video;
      frames.push_back(decode_clip(clip, spec));
    }
    return MemoryFrames(std::move(frames));
  }

  void print(const std::vector<float>& scores, const std::vector<std::string>& names) const {
    refuse_unusable_scores(scores, names.size(), [&](std::size_t row) { return videos[row]; });
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (std::size_t v = 0; v < videos.size(); ++v) {
      const std::vector<double> p = softmax(scores.data() + v * names.size(), names.size());
      std::vector<std::size_t> order(names.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
      order.resize(std::min(order.size(), top == 0 ? order.size() : top));
      if (!json) std::printf("%s\n", videos[v].c_str());
      nlohmann::ordered_json ranked = nlohmann::ordered_json::array();
      for (std::size_t k : order) {
        if (!json) std::printf("  %5.1f %%  %s\n", 100 * p[k], names[k].c_str());
        ranked.push_back({{"label", names[k]}, {"probability", p[k]}});
      }
      all.push_back({{"video", videos[v]}, {"labels", ranked}});
    }
    if (json) std::printf("%s\n", all.dump(2).c_str());
  }
};

}  // namespace

void add_predict_command(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("predict", "Name the gesture in videos, each one clip");
  auto options = std::make_shared<PredictCommand>();
  command
      ->add_option("--run", options->run,
                   "the run's folder, or an imported video network's with its classifier")
      ->required();
  command->add_option(
      "--labels", options->labels,
      "a file with one text a line, or a table with a column `label`, to choose from instead of the classes "
      "(zero-shot); for an imported network the names of its classes");
  command->add_option("--top", options->top, "labels shown of each video; 0: all")->capture_default_str();
  command->add_flag("--json", options->json, "print JSON: video and labels with probabilities");
  command->add_option("VIDEO", options->videos, "video files")->required();
  add_checkpoint_option(*command, options->which);
  add_machine_options(*command, options->machine);
  command->footer(
      "Example: mgtrain predict --run runs/first clip1.mp4 clip2.mp4\n"
      "         mgtrain predict --run runs/first --labels my_gestures.txt --json clip1.mp4\n"
      "         mgtrain predict --run weights/kinetics --labels kinetics400.txt clip1.mp4");
  command->callback([options, &action] { action = [options] { options->predict(); }; });
}

}  // namespace mg
