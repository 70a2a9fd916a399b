// mgtrain predict
#include <unistd.h>

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
#include "train/predictions.h"
#include "train/printable.h"
#include "train/progress.h"
#include "train/video_classifier.h"
#include "train/video_predictor.h"

namespace mg {

namespace {

// Where predictions go, one clip at a time: text or JSON to stdout, lines of CSV and JSON to files.
class PredictionWriter {
 public:
  struct Places {
    std::filesystem::path csv, jsonl;
    bool json = false;
    std::size_t top = 5;
  };
  PredictionWriter(const Places& places, std::vector<std::string> names, bool of_manifest)
      : places_(places),
        names_(std::move(names)),
        of_manifest_(of_manifest),
        table_({"clip", "range"}, names_),
        csv_(places.csv, kPartial),
        jsonl_(places.jsonl, kPartial) {
    csv_.write(table_.header());
  }

  void add(const ScoredClip& scored) {
    const bool was_read = scored.fault.empty();
    const std::vector<double> p = was_read ? softmax(scored.scores) : std::vector<double>();
    const std::vector<std::size_t> order = order_of(p);
    csv_.write(table_.line({scored.clip.name, range_text(scored.clip)}, scored.clip.label,
                           was_read ? std::optional(order[0]) : std::nullopt, scored.scores));
    const nlohmann::ordered_json object = object_of(scored, p, order);
    jsonl_.write(object.dump() + "\n");
    if (places_.json) all_.push_back(object);
    if (!places_.json && !csv_ && !jsonl_ && was_read) print(object);
  }

  // All is there.
  void finish() {
    keep();
    for (const auto& path : {places_.csv, places_.jsonl}) {
      if (!path.empty()) std::filesystem::rename(path.string() + kPartial, path);
    }
    if (places_.json) std::printf("%s\n", all_.dump(2).c_str());
  }

  // What there is so far stays under another name, which is the line's end of what is said about it.
  std::string keep_partial() {
    keep();
    std::string names;
    for (const auto& path : {places_.csv, places_.jsonl}) {
      if (!path.empty()) names += (names.empty() ? "; kept in " : ", ") + path.string() + kPartial;
    }
    return names;
  }

 private:
  static constexpr const char* kPartial = ".partial";

  void keep() {
    csv_.commit();
    jsonl_.commit();
  }

  std::vector<std::size_t> order_of(const std::vector<double>& p) const {
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] > p[b]; });
    return order;
  }

  nlohmann::ordered_json object_of(const ScoredClip& scored, const std::vector<double>& p,
                                   const std::vector<std::size_t>& order) const {
    nlohmann::ordered_json object{{"video", scored.clip.name}};
    if (of_manifest_) object["range"] = range_text(scored.clip);
    if (!scored.clip.label.empty()) object["label"] = scored.clip.label;
    if (!scored.fault.empty()) {
      object["error"] = scored.fault;
      return object;
    }
    const std::size_t shown = places_.top == 0 ? order.size() : std::min(order.size(), places_.top);
    object["labels"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < shown; ++i) {
      object["labels"].push_back({{"label", names_[order[i]]}, {"probability", p[order[i]]}});
    }
    return object;
  }

  static void print(const nlohmann::ordered_json& object) {
    const std::string range = object.value("range", "all");
    std::printf("%s%s\n", printable(object["video"].get<std::string>()).c_str(),
                range == "all" ? "" : (" (" + range + ")").c_str());
    for (const auto& label : object["labels"]) {
      std::printf("  %5.1f %%  %s\n", 100 * label["probability"].get<double>(),
                  printable(label["label"].get<std::string>()).c_str());
    }
  }

  const Places places_;
  const std::vector<std::string> names_;
  const bool of_manifest_;
  const PredictionTable table_;
  OutputFile csv_, jsonl_;
  nlohmann::ordered_json all_ = nlohmann::ordered_json::array();
};

struct PredictCommand {
  std::filesystem::path run, labels, manifest;
  std::vector<std::string> videos;
  PredictionWriter::Places places;
  WhichCheckpoint which = WhichCheckpoint::last;
  MachineOptions machine{.threads = 0, .device = "auto"};

  void predict() const {
    if (videos.empty() == manifest.empty())
      throw Error(ExitCode::usage, "predict needs VIDEO or --manifest M.csv, and not both");
    const std::vector<std::string> texts =
        labels.empty() ? std::vector<std::string>() : read_label_list(labels);
    const std::vector<Clip> clips = clips_to_predict();
    const bool is_run = std::filesystem::exists(run / "ckpt"),
               is_import = std::filesystem::exists(run / kCertificateFile);
    if (is_import && !is_run) {
      if (which == WhichCheckpoint::best)
        throw Error(ExitCode::usage, "--checkpoint best: {} is an imported network, which has one only",
                    run.string());
      predict_classes(clips, texts);
    } else {
      predict_gestures(clips, texts);
    }
  }

 private:
  std::vector<Clip> clips_to_predict() const {
    if (!manifest.empty()) {
      Manifest list = read_manifest(manifest, Labels::optional);
      for (const std::string& note : list.notes) std::fprintf(stderr, "%s\n", note.c_str());
      return std::move(list.clips);
    }
    std::vector<Clip> clips(videos.size());
    for (std::size_t i = 0; i < videos.size(); ++i) clips[i].path = clips[i].name = videos[i];
    return clips;
  }

  // By a run's model: its classes, or any texts.
  void predict_gestures(const std::vector<Clip>& clips, const std::vector<std::string>& texts) const {
    const RunDirectory directory(run);
    Context ctx = make_context(directory.config(), machine);
    GestureModel model(directory, ctx, which);
    model.load(texts.empty() ? model.mode({}) : GestureMode::similarity);
    write(ctx, model.config(), clips, texts.empty() ? labels_of(model.classes()) : texts,
          [&](const ClipViews& views, const auto& some) {
            return texts.empty() ? model.scores(model.mode({}), views, some)
                                 : model.similarity(texts, views, some);
          });
  }

  // By an imported network's own classifier, whose classes names, if given, name.
  void predict_classes(const std::vector<Clip>& clips, std::vector<std::string> names) const {
    VideoClassifier network(run);
    Context ctx = make_context(network.config(), machine);
    const auto classes = static_cast<std::size_t>(network.classes());
    if (!names.empty() && names.size() != classes) {
      throw Error(ExitCode::data, "{}: {} labels, but the network has {} classes", labels.string(),
                  names.size(), classes);
    }
    for (std::size_t k = names.size(); k < classes; ++k) names.push_back(fmt::format("class {}", k));
    write(ctx, network.config(), clips, names,
          [&](const ClipViews& views, const auto& some) { return network.scores(ctx, views, some); });
  }

  void write(Context& ctx, const Config& config, const std::vector<Clip>& clips,
             const std::vector<std::string>& names, const ScoreClips& score) const {
    PredictionWriter writer(places, names, !manifest.empty());
    std::string unreadable;
    std::int64_t done = 0, lost = 0;
    {
      const auto total = static_cast<std::int64_t>(clips.size());
      // On a terminal a listing shows by itself how far it is.
      const bool listed = places.csv.empty() && places.jsonl.empty() && !places.json;
      const bool shows_progress = total > 16 && !(listed && isatty(STDOUT_FILENO) != 0);
      Progress progress("predicting", total, "clips");
      try {
        score_videos(ctx, config, clips, score, [&](const ScoredClip& scored) {
          refuse_unusable_scores(scored.scores, names.size(), [&](std::size_t) { return scored.clip.name; });
          writer.add(scored);
          if (!scored.fault.empty()) {
            ++lost;
            unreadable += fmt::format("\n  {}{}", place_of(scored.clip), scored.fault);
          }
          ++done;
          if (shows_progress) progress.update(done);
        });
      } catch (const Error& e) {
        throw Error(e.code(), "{}{}", e.what(), writer.keep_partial());
      }
    }
    writer.finish();
    std::fflush(stdout);
    if (lost > 0) {
      throw Error(ExitCode::data, "{} of {} clips cannot be read:{}", lost, clips.size(), unreadable);
    }
  }

  std::string place_of(const Clip& clip) const {
    return manifest.empty() ? "" : fmt::format("{}:{}: ", manifest.string(), clip.line);
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
  command->add_option("--top", options->places.top, "labels shown of each video; 0: all")
      ->capture_default_str();
  command->add_flag("--json", options->places.json, "print JSON: video and labels with probabilities");
  command->add_option("--jsonl", options->places.jsonl,
                      "write the same to this file, a line a clip, as soon as it is known");
  command->add_option("--csv", options->places.csv,
                      "write clip, range, label, prediction and the scores of all labels to this file");
  command->add_option("--manifest", options->manifest,
                      "CSV with the clips in place of videos: a column clip, and optionally start_frame,"
                      "end_frame or start,end, and label");
  command->add_option("VIDEO", options->videos, "video files");
  add_checkpoint_option(*command, options->which);
  add_machine_options(*command, options->machine);
  command->footer(
      "A video that cannot be read does not stop the others: at the end all such are listed, and the exit\n"
      "code is 4. The scores of --csv are probabilities that sum to 1; such a video has none. While it "
      "runs,\n"
      "and if it is stopped, the files are FILE.partial.\n"
      "Example: mgtrain predict --run runs/first clip1.mp4 clip2.mp4\n"
      "         mgtrain predict --run runs/first --manifest new.csv --csv new_predictions.csv\n"
      "         mgtrain predict --run runs/first --labels my_gestures.txt --json clip1.mp4\n"
      "         mgtrain predict --run weights/kinetics --labels kinetics400.txt clip1.mp4");
  command->callback([options, &action] { action = [options] { options->predict(); }; });
}

}  // namespace mg
