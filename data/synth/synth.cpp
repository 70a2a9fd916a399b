#include "data/synth/synth.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "data/synth/emotion_chain.h"
#include "data/synth/gesture.h"
#include "data/synth/plan.h"
#include "data/synth/recording.h"
#include "data/synth/video_writer.h"
#include "engine/error.h"
#include "engine/file.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

using synth::RecordingPlan;
using Json = nlohmann::ordered_json;
using Spans = std::vector<synth::GestureSpan>;

constexpr int kFormat = 1;  // of truth.json and of what is drawn: another number, another data set
constexpr int kOptimumSamples = 20000;
constexpr const char* kUnfinished = "UNFINISHED";

Json marker_of(const SynthOptions& options) {
  return {{"format", kFormat}, {"clips", options.clips}, {"seed", options.seed}};
}

SynthResult result_at(const fs::path& out) {
  return {out / "manifest.csv", out / "emotions.csv", out / "truth.json"};
}

// The folder that is written aside. It carries a mark, so that only such a folder is ever removed.
class Staging {
 public:
  explicit Staging(const fs::path& out) : path_(out.string() + ".tmp") {
    if (fs::exists(path_) && !fs::exists(path_ / kUnfinished)) {
      throw Error(ExitCode::usage, "{}: this name is needed while {} is written, but it is taken",
                  path_.string(), out.string());
    }
    fs::remove_all(path_);
    fs::create_directories(path_ / "videos");
    FileWriter mark(path_ / kUnfinished);
    mark.commit();
  }
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  const fs::path& path() const { return path_; }
  void commit(const fs::path& out) {
    fs::remove(path_ / kUnfinished);
    sync_folder(path_ / "videos");
    sync_folder(path_);
    fs::rename(path_, out);
    sync_folder(out.has_parent_path() ? out.parent_path() : ".");
  }

 private:
  fs::path path_;
};

Spans write_video(const RecordingPlan& plan, std::uint64_t seed, const fs::path& folder) {
  const synth::Recording recording(seed, plan.subject, plan.name, plan.gestures);
  synth::VideoWriter writer(folder / (plan.name + ".mp4"), synth::kWidth, synth::kHeight, synth::kFps);
  synth::Canvas canvas(synth::kWidth, synth::kHeight);
  for (int frame = 0; frame < recording.motion().frames(); ++frame) {
    recording.render(frame, canvas);
    writer.add(canvas);
  }
  writer.finish();
  return recording.motion().gestures();
}

// Every video on its own, whichever thread comes first to it. The first fault stops all and is thrown.
std::vector<Spans> write_videos(const std::vector<RecordingPlan>& plans, const SynthOptions& options,
                                const fs::path& folder) {
  std::vector<Spans> spans(plans.size());
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::int64_t done = 0;
  std::exception_ptr fault;
  auto work = [&] {
    for (std::size_t i = next++; i < plans.size(); i = next++) {
      try {
        spans[i] = write_video(plans[i], options.seed, folder);
        const std::lock_guard lock(mutex);
        ++done;
        if (options.progress && !fault) options.progress(done, static_cast<std::int64_t>(plans.size()));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!fault) fault = std::current_exception();
        next = plans.size();
      }
    }
  };
  {
    std::vector<std::jthread> others;  // joined at the end of this block, however it is left
    for (int i = 1; i < options.threads; ++i) others.emplace_back(work);
    work();
  }
  if (fault) std::rethrow_exception(fault);
  return spans;
}

void write_file(const fs::path& path, std::string_view text) {
  FileWriter file(path);
  file.write(text);
  file.commit();
}

void write_lists(const fs::path& folder, const std::vector<RecordingPlan>& plans,
                 const std::vector<Spans>& spans) {
  std::string manifest = "clip,label,start_frame,end_frame,caption,subject,split,video\n";
  std::string emotions = "video,emotion,subject,split\n";
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const RecordingPlan& plan = plans[i];
    for (const synth::GestureSpan& span : spans[i]) {
      const auto& [label, caption] = synth::gesture_names()[static_cast<std::size_t>(span.gesture)];
      manifest += fmt::format("videos/{}.mp4,{},{},{},{},{},{},{}\n", plan.name, label, span.annotated_first,
                              span.annotated_last, caption, plan.subject, plan.split, plan.name);
    }
    emotions +=
        fmt::format("{},{},{},{}\n", plan.name,
                    synth::emotion_names()[static_cast<std::size_t>(plan.emotion)], plan.subject, plan.split);
  }
  write_file(folder / "manifest.csv", manifest);
  write_file(folder / "emotions.csv", emotions);
}

Json optimum_of(const std::vector<RecordingPlan>& plans) {
  std::vector<int> lengths;
  std::map<std::string_view, std::pair<int, int>> right_and_all;
  for (const RecordingPlan& plan : plans) {
    lengths.push_back(static_cast<int>(plan.gestures.size()));
    auto& [right, all] = right_and_all[plan.split];
    right += synth::most_likely_emotion(plan.gestures) == plan.emotion ? 1 : 0;
    ++all;
  }
  Json optimum = {{"expected", synth::expected_optimum(lengths, kOptimumSamples, 1)}};
  for (const std::string_view split : {"train", "val", "test"}) {
    const auto [right, all] = right_and_all[split];
    optimum[std::string(split)] = 100.0 * right / all;
  }
  return optimum;
}

Json chains() {
  Json all = Json::object();
  for (std::size_t e = 0; e < synth::kEmotions; ++e) {
    const synth::MarkovChain& chain = synth::emotion_chains()[e];
    all[std::string(synth::emotion_names()[e])] = {
        {"start", chain.start}, {"transitions", chain.transitions}, {"emissions", chain.emissions}};
  }
  return all;
}

Json splits_of(const std::vector<RecordingPlan>& plans) {
  Json splits = Json::object();
  for (const std::string_view split : {"train", "val", "test"}) {
    std::set<std::string> subjects;
    std::size_t videos = 0, clips = 0;
    for (const RecordingPlan& plan : plans) {
      if (plan.split != split) continue;
      subjects.insert(plan.subject);
      ++videos;
      clips += plan.gestures.size();
    }
    splits[std::string(split)] = {{"subjects", subjects.size()}, {"videos", videos}, {"clips", clips}};
  }
  return splits;
}

void write_truth(const fs::path& path, const SynthOptions& options, const std::vector<RecordingPlan>& plans,
                 const std::vector<Spans>& spans) {
  Json truth = {{"made_with", marker_of(options)},
                {"frame", {{"width", synth::kWidth}, {"height", synth::kHeight}, {"fps", synth::kFps}}},
                {"gestures", synth_gestures()},
                {"emotions", synth::emotion_names()},
                {"moods", synth::mood_names()},
                {"chain", chains()},
                {"optimum", optimum_of(plans)},
                {"splits", splits_of(plans)},
                {"videos", Json::array()}};
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const RecordingPlan& plan = plans[i];
    Json true_spans = Json::array();
    for (const synth::GestureSpan& span : spans[i]) true_spans.push_back({span.first, span.last});
    truth["videos"].push_back({{"video", plan.name},
                               {"emotion", synth::emotion_names()[static_cast<std::size_t>(plan.emotion)]},
                               {"posterior", synth::emotion_posterior(plan.gestures)},
                               {"gestures", plan.gestures},
                               {"moods", plan.moods},
                               {"spans", true_spans}});
  }
  write_file(path, truth.dump() + "\n");
}

// The data set that lies at out already, if it is one of these options; refuses everything else that lies
// there.
bool is_made(const SynthOptions& options, SynthResult& result) {
  if (!fs::exists(options.out) || (fs::is_directory(options.out) && fs::is_empty(options.out))) return false;
  const Json truth = fs::exists(result.truth)
                         ? Json::parse(read_whole_file(result.truth, ExitCode::data), nullptr, false)
                         : Json();
  if (!truth.is_object() || !truth.contains("made_with") || !truth.contains("videos")) {
    throw Error(ExitCode::usage,
                "{}: expected a new or empty folder or a synthetic data set, but there is something else",
                options.out.string());
  }
  if (truth["made_with"] != marker_of(options)) {
    throw Error(ExitCode::usage, "{}: holds a data set made with {}, not {}; choose another folder",
                options.out.string(), truth["made_with"].dump(), marker_of(options).dump());
  }
  std::vector<fs::path> files = {result.manifest, result.emotions};
  try {
    for (const Json& video : truth["videos"]) {
      files.push_back(options.out / "videos" / (video.at("video").get<std::string>() + ".mp4"));
      result.clips += static_cast<std::int64_t>(video.at("gestures").size());
      ++result.videos;
    }
  } catch (const Json::exception& fault) {
    throw Error(ExitCode::usage, "{}: expected the truth of a synthetic data set: {}", result.truth.string(),
                fault.what());
  }
  for (const fs::path& file : files) {
    if (!fs::exists(file)) {
      throw Error(ExitCode::usage,
                  "{}: is missing from the data set; remove the folder to have it made again", file.string());
    }
  }
  return true;
}

}  // namespace

SynthResult make_synthetic_data(const SynthOptions& given) {
  SynthOptions options = given;
  if (options.out.empty())
    throw Error(ExitCode::usage, "synthetic data: expected a folder to write to, got none");
  // "folder/" is "folder", also for the name that it is staged under.
  if (options.out.filename().empty()) options.out = options.out.parent_path();
  SynthResult result = result_at(options.out);
  const std::vector<RecordingPlan> plans = synth::make_plan(options.clips, options.seed);
  if (is_made(options, result)) return result;

  Staging staging(options.out);
  const std::vector<Spans> spans = write_videos(plans, options, staging.path() / "videos");
  write_lists(staging.path(), plans, spans);
  write_truth(staging.path() / "truth.json", options, plans, spans);
  staging.commit(options.out);
  result.videos = static_cast<std::int64_t>(plans.size());
  for (const Spans& of_video : spans) result.clips += static_cast<std::int64_t>(of_video.size());
  result.made = true;
  return result;
}

const std::vector<std::string>& synth_gestures() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& name : synth::gesture_names()) all.emplace_back(name.label);
    return all;
  }();
  return names;
}

}  // namespace mg
