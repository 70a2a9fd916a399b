#include "train/report/run_data.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "engine/error.h"
#include "engine/file.h"
#include "train/report/json_reader.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

std::string value_text(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>(); text && !text->empty()) return *text;
  if (const auto number = node.value_exact<double>())
    return fmt::format("{}", *number);  // 3e-4, not 2.9999e-4
  if (const toml::array* array = node.as_array()) {
    std::string text;
    for (const toml::node& item : *array) text += (text.empty() ? "" : ", ") + value_text(item);
    return "[" + text + "]";
  }
  std::ostringstream text;
  text << toml::node_view<const toml::node>(node);
  return text.str();
}

void flatten(const toml::table& table, const std::string& section, const std::string& prefix,
             std::vector<std::pair<toml::source_position, ConfigEntry>>& entries) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, section.empty() ? name : section, section.empty() ? "" : name, entries);
      continue;
    }
    entries.emplace_back(node.source().begin, ConfigEntry{section, name, value_text(node)});
  }
}

std::vector<ConfigEntry> read_config(const fs::path& path) {
  try {
    std::vector<std::pair<toml::source_position, ConfigEntry>> entries;
    flatten(toml::parse(read_whole_file(path, ExitCode::data), path.string()), "", "", entries);
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<ConfigEntry> config;
    config.reserve(entries.size());
    for (auto& entry : entries) config.push_back(std::move(entry.second));
    return config;
  } catch (const toml::parse_error& e) {
    throw Error(ExitCode::data, "{}:{}: not TOML: {}", path.string(), e.source().begin.line, e.description());
  }
}

std::vector<std::pair<std::string, std::string>> read_environment(const fs::path& path) {
  const nlohmann::ordered_json json = read_json_file(path);
  if (!json.is_object()) throw Error(ExitCode::data, "{}: expected an object", path.string());
  std::vector<std::pair<std::string, std::string>> environment;
  for (const auto& item : json.items()) {
    const auto& value = item.value();
    environment.emplace_back(item.key(), value.is_string() ? value.get<std::string>() : value.dump());
  }
  return environment;
}

std::vector<Problem> read_problems(const fs::path& path) {
  const nlohmann::ordered_json json = read_json_file(path);
  if (!json.is_array()) throw Error(ExitCode::data, "{}: expected an array", path.string());
  std::vector<Problem> problems;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const JsonReader entry(json[i], fmt::format("{}: problem {}", path.string(), i));
    problems.push_back({entry.count("line"), entry.text("clip"), entry.text("reason")});
  }
  return problems;
}

// Names in the order in which they belong, unknown ones last.
template <std::size_t n>
std::ptrdiff_t place_in(const std::array<std::string_view, n>& order, std::string_view name) {
  return std::find(order.begin(), order.end(), name) - order.begin();
}
constexpr std::array<std::string_view, 3> kSplits{"train", "val", "test"};
constexpr std::array<std::string_view, 3> kStages{"contrastive", "classifier", "emotion"};
constexpr std::array<std::string_view, 3> kModes{"similarity", "classifier", "emotion"};

std::vector<SplitSize> read_data(const fs::path& path) {
  const nlohmann::ordered_json json = read_json_file(path);
  if (!json.is_object()) throw Error(ExitCode::data, "{}: expected an object", path.string());
  std::vector<SplitSize> data;
  for (const auto& [split, counts] : json.items()) {
    const JsonReader reader(counts, fmt::format("{}: {}", path.string(), split));
    data.push_back({split, reader.count("clips"), reader.count("classes"), reader.count("people"),
                    reader.count("recordings")});
  }
  std::stable_sort(data.begin(), data.end(), [](const SplitSize& a, const SplitSize& b) {
    return place_in(kSplits, a.split) < place_in(kSplits, b.split);
  });
  return data;
}

// The points of one stage by step: a resumed run repeats steps, and the later line counts.
struct StepTable {
  std::map<std::int64_t, TrainPoint> train;
  std::map<std::string, std::map<std::int64_t, EvalPoint>> eval;
};

void read_metrics_line(const JsonReader& line, std::map<std::string, StepTable>& stages) {
  const std::string kind = line.text("kind");
  if (kind != "train" && kind != "eval") {
    throw Error(ExitCode::data, "{}: kind: expected \"train\" or \"eval\", got \"{}\"", line.where(), kind);
  }
  StepTable& table = stages[line.text("stage")];
  const std::int64_t step = line.count("step"), epoch = line.count("epoch");
  if (kind == "train") {
    table.train[step] = {.step = step,
                         .epoch = epoch,
                         .loss = line.number_or_nan("loss"),
                         .learning_rate = line.number_or_nan("lr"),
                         .gradient_norm = line.number_or_nan("gradient_norm"),
                         .clips_per_second = line.number_or_nan("clips_per_second"),
                         .seconds = line.number_or_nan("seconds")};
  } else {
    table.eval[line.text("split")][step] = {.step = step,
                                            .epoch = epoch,
                                            .top1 = line.number_or_nan("top1"),
                                            .top5 = line.number_or_nan("top5"),
                                            .loss = line.number_or_nan("loss")};
  }
}

std::vector<StageCurves> read_metrics(const fs::path& path) {
  const std::string text = read_whole_file(path, ExitCode::data);
  std::map<std::string, StepTable> tables;
  std::size_t begin = 0;
  for (std::int64_t number = 1; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto json = nlohmann::ordered_json::parse(line, nullptr, false);
    if (json.is_discarded()) {
      if (end == text.size()) break;  // cut off: the process was killed while it wrote
      throw Error(ExitCode::data, "{}:{}: not a line of JSON", path.string(), number);
    }
    read_metrics_line(JsonReader(json, fmt::format("{}:{}", path.string(), number)), tables);
  }
  std::vector<StageCurves> stages;
  for (auto& [stage, table] : tables) {
    StageCurves& curves = stages.emplace_back();
    curves.stage = stage;
    for (const auto& [step, point] : table.train) curves.train.push_back(point);
    for (const auto& [split, points] : table.eval) {
      for (const auto& [step, point] : points) curves.eval[split].push_back(point);
    }
  }
  std::stable_sort(stages.begin(), stages.end(), [](const StageCurves& a, const StageCurves& b) {
    return place_in(kStages, a.stage) < place_in(kStages, b.stage);
  });
  return stages;
}

Classification read_figures(const JsonReader& json) {
  Classification c;
  c.n = json.count("n");
  c.top1 = json.number("top1");
  c.top5 = json.number("top5");
  c.mean_class = json.number("mean_class");
  c.macro_f1 = json.number("macro_f1");
  const std::vector<double> interval = json.numbers("top1_interval", 2);
  c.top1_low = interval[0];
  c.top1_high = interval[1];
  c.labels = json.texts("labels");
  const std::size_t classes = c.labels.size();
  c.confusion = json.count_matrix("confusion", classes);
  for (const JsonReader& row : json.objects("per_class", classes)) {
    c.classes.push_back({.label = row.text("label"),
                         .n = row.count("n"),
                         .recall = row.number("recall"),
                         .precision = row.number("precision"),
                         .f1 = row.number("f1")});
  }
  const JsonReader constant = json.object("constant");
  c.constant_label = constant.text("label");
  c.constant_top1 = constant.number("top1");
  c.constant_top5 = constant.number("top5");
  return c;
}

Result read_result(const fs::path& path) {
  const nlohmann::ordered_json json = read_json_file(path);
  const JsonReader reader(json, path.string());
  Result result;
  result.file = path.filename().string();
  result.stage = reader.text("stage");
  result.mode = reader.text("mode");
  result.split = reader.text("split");
  result.manifest = reader.text("manifest");
  result.shuffled = reader.flag_or_false("shuffled");
  if (reader.has("optimum")) {
    const JsonReader optimum = reader.object("optimum");
    result.optimum = Optimum{optimum.number("expected"), optimum.number("split")};
  }
  if (reader.has("checkpoint")) {
    const JsonReader checkpoint = reader.object("checkpoint");
    result.checkpoint = UsedCheckpoint{checkpoint.text("which"), checkpoint.count("epoch")};
  }
  result.figures = read_figures(reader);
  return result;
}

std::vector<Result> read_results(const fs::path& folder) {
  std::vector<fs::path> files;
  if (fs::is_directory(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.is_regular_file() && entry.path().extension() == ".json") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Result> results;
  results.reserve(files.size());
  for (const fs::path& file : files) results.push_back(read_result(file));
  std::stable_sort(results.begin(), results.end(), [](const Result& a, const Result& b) {
    return place_in(kModes, a.mode) < place_in(kModes, b.mode);
  });
  return results;
}

}  // namespace

RunData read_run_data(const fs::path& run) {
  if (!fs::is_directory(run)) throw Error(ExitCode::data, "{}: expected the folder of a run", run.string());
  RunData data;
  const fs::path folder = fs::canonical(run);
  data.name = folder.filename().string();
  if (data.name == "run") data.name = (folder.parent_path().filename() / "run").string();
  data.has_config = fs::exists(run / "config.toml");
  data.has_environment = fs::exists(run / "environment.json");
  data.has_metrics = fs::exists(run / "metrics.jsonl");
  data.has_problems = fs::exists(run / "problems.json");
  if (data.has_config) data.config = read_config(run / "config.toml");
  if (data.has_environment) data.environment = read_environment(run / "environment.json");
  if (fs::exists(run / "data.json")) data.data = read_data(run / "data.json");
  if (data.has_metrics) data.stages = read_metrics(run / "metrics.jsonl");
  if (data.has_problems) data.problems = read_problems(run / "problems.json");
  data.results = read_results(run / "results");
  return data;
}

}  // namespace mg
