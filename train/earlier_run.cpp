#include "train/earlier_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "engine/checkpoint.h"
#include "engine/file.h"
#include "models/wordpiece.h"
#include "train/stages/stage.h"

namespace mg {

namespace fs = std::filesystem;

const std::vector<std::string>& shape_keys(const std::string& stage) {
  static const std::map<std::string, std::vector<std::string>> keys{
      {"contrastive",
       {"video.width", "video.blocks", "text.kind", "text.dim", "text.hidden_dim", "text.layers",
        "text.heads", "text.max_positions", "model.embedding_dim", "prompt.kind", "prompt.layers",
        "prompt.heads", "prompt.alpha_shape"}},
      {"classifier", {"classifier.head", "classifier.hidden"}},
      {"emotion",
       {"emotion.dim", "emotion.hidden_dim", "emotion.layers", "emotion.heads", "emotion.max_length",
        "emotion.tokens"}}};
  return keys.at(stage);
}

namespace {

constexpr const char* kRunFile = "run.json";

// A line for each of the stage's keys whose value in here is not that in there.
std::vector<std::string> other_shape(const std::string& stage, const Config& here, const Config& there) {
  std::vector<std::string> lines;
  const std::vector<std::string>& keys = shape_keys(stage);
  for (const auto& [key, line] : here.differences(there)) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) lines.push_back(line);
  }
  return lines;
}

// Weights and vocabulary come with the other run.
const std::vector<std::string> kOwnSources{"from", "video.weights", "text.weights", "text.vocabulary"};

std::string name_of(const fs::path& run) { return fs::canonical(run).filename().string(); }

std::string hash_in(const std::string& identity) { return identity.substr(identity.rfind(' ') + 1); }

}  // namespace

EarlierRun::EarlierRun(const fs::path& run, WhichCheckpoint which)
    : run_(run), which_(which), config_(run_.config()) {
  for (const char* stage : {"contrastive", "classifier", "emotion"}) {
    if (stage != std::string("contrastive") && !is_finished(run_, stage)) continue;
    FinishedStage finished{finished_stage(run_, stage, which), ""};
    finished.data.training.clear();
    const std::string folder = which == WhichCheckpoint::best
                                   ? "best"
                                   : fmt::format("step_{}", finished.data.state["step"].get<std::int64_t>());
    finished.hash = model_hash(run_.checkpoints(stage) / folder);
    stages_.emplace(stage, std::move(finished));
  }
  const FinishedStage& first = stages_.at("contrastive");
  identity_ = fmt::format("{}, {} step {}, XXH3-128 {}", name_of(run),
                          which == WhichCheckpoint::best ? "best" : "last",
                          first.data.state["step"].get<std::int64_t>(), first.hash);
  config_.take(Config(), kOwnSources);
}

void EarlierRun::check_fits(const Config& config) const {
  for (const std::string& key : kOwnSources) {
    if (key == "from" || config.text(key).empty()) continue;
    throw Error(ExitCode::config,
                "{} = '{}': with --from, weights and vocabulary are those of {}: leave out one of the two",
                key, config.text(key), run_.path().string());
  }
  const std::vector<std::string> lines = other_shape("contrastive", config, run_.config());
  if (lines.empty()) return;
  throw Error(ExitCode::config,
              "--from {}: its weights are of another model ('there') than is asked for:\n  {}",
              run_.path().string(), fmt::join(lines, "\n  "));
}

void EarlierRun::copy_to(const fs::path& folder) const {
  const fs::path aside = folder.string() + ".tmp";
  fs::remove_all(aside);
  fs::create_directories(aside);
  nlohmann::ordered_json record{{"run", name_of(run_.path())}, {"identity", identity_}};
  for (const auto& [stage, finished] : stages_) {
    save_checkpoint(aside / stage, finished.data);
    record["stages"][stage] = checkpoint_json(finished.data, which_);
    record["stages"][stage]["xxh3_128"] = finished.hash;
  }
  write_whole_file(aside / "config.toml", config_.to_toml());
  write_whole_file(aside / "vocab.txt", WordPiece::load(run_.file("vocab.txt")).text());
  for (const char* name : {"classes.json", "emotions.json"}) {
    if (!fs::exists(run_.file(name))) continue;
    write_whole_file(aside / name, read_whole_file(run_.file(name), ExitCode::checkpoint));
  }
  write_whole_file(aside / kRunFile, record.dump(2) + "\n");
  fs::rename(aside, folder);
  sync_folder(folder.parent_path());
}

std::unique_ptr<EarlierRun> earlier_run(const fs::path& from, WhichCheckpoint which,
                                        const RunDirectory* before) {
  if (from.empty()) return {};
  if (before != nullptr && before->config().text("from").empty()) {
    throw Error(ExitCode::usage,
                "--from {}: {} was started without it, and takes no other weights now: choose another --run",
                from.string(), before->path().string());
  }
  if (before != nullptr && fs::exists(before->file("from")) && !fs::exists(from)) return {};
  auto earlier = std::make_unique<EarlierRun>(from, which);
  if (before != nullptr && hash_in(before->config().text("from")) != hash_in(earlier->identity())) {
    throw Error(ExitCode::config, "{}: the run started from '{}', --from is '{}'", before->path().string(),
                before->config().text("from"), earlier->identity());
  }
  return earlier;
}

StartingPoint::StartingPoint(const RunDirectory& run) : run_(run), folder_(run.file("from")) {
  const fs::path file = folder_ / kRunFile;
  const std::string& expected = run.config().text("from");
  if (!fs::exists(file)) {
    throw Error(ExitCode::checkpoint,
                "{}: the run was stopped before it had the weights of '{}': give --from once more",
                run.path().string(), expected);
  }
  try {
    record_ = nlohmann::json::parse(read_whole_file(file, ExitCode::checkpoint));
    if (hash_in(record_.at("identity")) == hash_in(expected)) return;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ExitCode::checkpoint, "{}: damaged: {}", file.string(), e.what());
  }
  throw Error(ExitCode::checkpoint, "{}: expected '{}', as config.toml says, got {}", file.string(), expected,
              record_["identity"].dump());
}

std::string StartingPoint::vocabulary() const { return WordPiece::load(folder_ / "vocab.txt").text(); }

void StartingPoint::load_contrastive(Module& module) const { load("contrastive", module, ""); }

void StartingPoint::load_classifier(Module& module, const std::vector<GestureClass>& classes) const {
  load("classifier", module, same_classes(classes) ? "" : "the classes are others");
}

void StartingPoint::load_emotion(Module& module, const std::vector<GestureClass>& classes,
                                 const std::vector<std::string>& emotions) const {
  const fs::path file = folder_ / "emotions.json";
  std::string why_not;
  if (!fs::exists(file) || read_names(file) != emotions) why_not = "the emotions are others";
  if (!same_classes(classes)) why_not = "the classes are others";
  load("emotion", module, why_not);
}

bool StartingPoint::same_classes(const std::vector<GestureClass>& classes) const {
  const fs::path file = folder_ / "classes.json";
  return fs::exists(file) && labels_of(read_classes(file)) == labels_of(classes);
}

void StartingPoint::load(const std::string& stage, Module& module, std::string why_not) const {
  const fs::path checkpoint = folder_ / stage;
  Config there;
  there.load_file(folder_ / "config.toml");
  const std::vector<std::string> lines = other_shape(stage, run_.config(), there);
  if (!lines.empty()) why_not = fmt::format("{}", fmt::join(lines, "; "));
  if (!fs::exists(checkpoint)) why_not = "it was not finished there";
  if (why_not.empty())
    load_tensors(named_tensors(module), load_checkpoint(checkpoint).model, checkpoint.string());
  if (fs::exists(run_.checkpoints(stage))) return;  // a run that goes on
  const std::string name = record_.value("run", "");
  const nlohmann::json taken =
      record_.value("stages", nlohmann::json()).value(stage, nlohmann::json::object());
  const std::string from = why_not.empty()
                               ? fmt::format("the weights of {} ({} checkpoint, step {})", name,
                                             taken.value("which", "last"), taken.value("step", 0))
                               : fmt::format("random weights, not those of {}: {}", name, why_not);
  std::fprintf(stderr, "%s: starts from %s\n", stage.c_str(), from.c_str());
}

}  // namespace mg
