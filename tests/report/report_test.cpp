#include "train/report/report.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "report/tag_balance.h"
#include "train/metrics.h"
#include "train/report/chart.h"
#include "train/report/markup.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

// The folder of a run, removed afterwards.
struct Run {
  fs::path path = fs::temp_directory_path() / fmt::format("mg_report_{}", ::getpid()) / "run <1>";
  Run() {
    fs::remove_all(path.parent_path());
    fs::create_directories(path / "results");
  }
  ~Run() { fs::remove_all(path.parent_path()); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
  }
  // The page, checked to be well formed.
  std::string report() const {
    const fs::path file = write_report(path);
    CHECK(file == path / "report.html");
    CHECK_FALSE(fs::exists(path / "report.html.tmp"));
    std::string page = read_whole_file(file, ExitCode::failure);
    CHECK(test::markup_fault(page) == "");
    return page;
  }
  std::string error() const {
    try {
      write_report(path);
    } catch (const Error& e) {
      CHECK(e.code() == ExitCode::data);
      CHECK_FALSE(fs::exists(path / "report.html"));
      return e.what();
    }
    return "no error";
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string train_line(const std::string& stage, int step, const std::string& loss) {
  return fmt::format(
      R"({{"kind":"train","stage":"{}","step":{},"epoch":1,"loss":{},"lr":0.0001,"gradient_norm":1.5,)"
      R"("clips_per_second":3.25,"unknown":[1]}})"
      "\n",
      stage, step, loss);
}

std::string eval_line(const std::string& stage, int step, double top1) {
  return fmt::format(
      R"({{"kind":"eval","stage":"{}","epoch":{},"step":{},"split":"val","top1":{},"top5":90}})"
      "\n",
      stage, step, step, top1);
}

nlohmann::ordered_json result(const std::string& mode, const std::vector<std::string>& labels) {
  std::vector<float> scores;
  std::vector<std::int32_t> targets;
  for (std::size_t i = 0; i < 3 * labels.size(); ++i) {
    targets.push_back(static_cast<std::int32_t>(i % labels.size()));
    for (std::size_t k = 0; k < labels.size(); ++k) scores.push_back(k == i / 3 ? 1.0F : 0.0F);
  }
  nlohmann::ordered_json json = to_json(classify(scores, targets, labels));
  json["stage"] = mode == "similarity" ? "contrastive" : mode;
  json["mode"] = mode;
  json["split"] = "test";
  json["manifest"] = "test.csv";
  return json;
}

void write_whole_run(const Run& run) {
  run.write("config.toml",
            "preset = \"mini\"\n[contrastive]\nlearning_rate = 3e-4\nbatch = 16\nname = \"<b>\"\n");
  run.write("environment.json", R"({"processor": "a & b", "threads": 2})");
  std::string metrics;
  for (const char* stage : {"emotion", "classifier", "contrastive"}) {
    for (int step = 1; step <= 30; ++step) metrics += train_line(stage, step, fmt::format("{}", 3.0 / step));
    for (int step = 10; step <= 30; step += 10) metrics += eval_line(stage, step, step * 2.0);
  }
  run.write("metrics.jsonl", metrics);
  run.write("problems.json", R"([{"line": 12, "clip": "a<b>.mp4", "reason": "no \"video\" stream"}])");
  run.write("results/a.json", result("classifier", {"nod", "wave", "rub"}).dump());
  run.write("results/b.json", result("similarity", {"nod", "wave", "rub"}).dump());
  nlohmann::ordered_json shuffled = result("classifier", {"nod", "wave", "rub"});
  shuffled["shuffled"] = true;
  run.write("results/c.json", shuffled.dump());
  nlohmann::ordered_json emotion = result("emotion", {"calm", "tense"});
  emotion["optimum"] = {{"expected", 81.25}, {"split", 78.5}};
  run.write("results/d.json", emotion.dump());
}

}  // namespace

TEST_CASE("report: the check for well-formed markup finds faults") {
  const std::string head = "<!DOCTYPE html>";
  CHECK(test::markup_fault(head + "<html><p a=\"1\">x &amp; y</p><br/></html>\n") == "");
  for (const char* wrong :
       {"<html><p></html>", "<html>", "<html></html>x", "<html>&</html>", "<html a=1></html>",
        "<html a=\"1\" a=\"1\"></html>", "<html><i id=\"x\"/><i id=\"x\"/></html>",
        "<html><a href=\"#x\"/></html>", "<html><i a=\"<\"/></html>", "<html>></html>"}) {
    CAPTURE(wrong);
    CHECK(test::markup_fault(head + wrong) != "");
  }
}

TEST_CASE("report: every section of a whole run") {
  const Run run;
  write_whole_run(run);
  const std::string page = run.report();
  for (const char* id :
       {"training", "gestures", "emotion", "shuffling", "configuration", "environment", "problems"}) {
    CAPTURE(id);
    CHECK(has(page, fmt::format("<section id=\"{}\">", id)));
    CHECK(has(page, fmt::format("href=\"#{}\"", id)));
  }
  CHECK(occurrences(page, "class=\"card\"") == 3);
  CHECK(occurrences(page, "class=\"confusion\"") == 3);
  CHECK(occurrences(page, "class=\"chart\"") == 12);
  CHECK(occurrences(page, "role=\"img\"") == 15);
  CHECK(page.find("Stage: contrastive") < page.find("Stage: classifier"));
  CHECK(page.find("Stage: classifier") < page.find("Stage: emotion"));
  CHECK(page.find("Gestures by similarity to their captions \xE2\x80\x93") <
        page.find("Gestures by classifier \xE2\x80\x93"));
  for (const char* text :
       {"run &lt;1&gt;", "78.50", "81.25", "a &amp; b", "no &quot;video&quot; stream", "&lt;b&gt;", "0.0003",
        "60.00 % (val, epoch 30)", "<dt>preset</dt><dd>mini</dd>"}) {
    CAPTURE(text);
    CHECK(has(page, text));
  }
  CHECK_FALSE(has(page, "class=\"absent\""));
  CHECK_FALSE(has(page, "<script"));
  for (const char* external : {"http:", "https:", "src=", "url(", "@import", "<link"})
    CHECK_FALSE(has(page, external));
  CHECK(run.report() == page);  // the same run makes the same bytes
}

TEST_CASE("report: results by split, what guessing gets in words, and whose figures they are") {
  const Run run;
  write_whole_run(run);
  nlohmann::ordered_json val = result("classifier", {"nod", "wave", "rub"});
  val["split"] = "val";
  val["checkpoint"] = {{"which", "best"}, {"step", 20}, {"epoch", 7}};
  run.write("results/e.json", val.dump());
  run.write("environment.json", R"({"started": "2026-03-01 14:05 UTC", "device": "cpu"})");
  const std::string page = run.report();
  CHECK(page.find("On the test split") < page.find("On the val split"));
  CHECK(occurrences(page, "class=\"card\"") == 4);
  CHECK(has(page, "val, 9 clips, best checkpoint (epoch 7)"));
  CHECK(has(page, "Gestures on test: chance is what guessing blindly among the 3 gestures gets, 33.33 %."));
  CHECK(has(page, "Emotions on test: chance is what guessing blindly among the 2 emotions gets, 50.00 %."));
  CHECK(has(
      page,
      "it always answers <span class=\"label\">\xE2\x80\x9Cnod\xE2\x80\x9D</span>, the most frequent one"));
  CHECK(has(page, "<dt>started</dt><dd>2026-03-01 14:05 UTC</dd>"));
  run.write("data.json", R"({"test":{"clips":1200,"classes":3,"people":0,"recordings":7},)"
                         R"("train":{"clips":5,"classes":3,"people":2,"recordings":4}})");
  const std::string counted = run.report();
  CHECK(has(counted,
            "<dt>train</dt><dd>5 clips of 3 gestures, 2 people, 4 recordings</dd><dt>test</dt>"
            "<dd>1,200 clips of 3 gestures, 7 recordings</dd>"));
  CHECK_FALSE(has(page, "training took"));  // the metrics of old runs have no seconds
  run.write("metrics.jsonl",
            R"({"kind":"train","stage":"classifier","step":1,"epoch":1,"loss":1,"seconds":3700.2})"
            "\n");
  CHECK(has(run.report(), "<dt>training took</dt><dd>1 h 1 min</dd>"));
}

TEST_CASE("report: no top-5 where every answer is among five") {
  const auto page_with = [](int classes) {
    const Run run;
    std::vector<std::string> labels;
    for (int k = 0; k < classes; ++k) labels.push_back(fmt::format("class {}", k));
    run.write("results/a.json", result("classifier", labels).dump());
    return run.report();
  };
  CHECK_FALSE(has(page_with(3), "op-5"));
  CHECK_FALSE(has(page_with(5), "op-5"));
  CHECK(has(page_with(6), "top-5"));
  CHECK(has(page_with(6), "Top-5 counts"));
}

TEST_CASE("report: of a run that is still trained, and legends on charts of one line") {
  const Run run;
  write_whole_run(run);
  CHECK_FALSE(has(run.report(), "refresh"));
  const std::string page = read_whole_file(write_report(run.path, true), ExitCode::failure);
  CHECK(test::markup_fault(page) == "");
  CHECK(has(page, "<meta http-equiv=\"refresh\" content=\"15\"/>"));
  CHECK(has(page, "still being trained"));
  CHECK(occurrences(page, "class=\"legend\"") == occurrences(page, "class=\"chart\""));
}

TEST_CASE("report: what is missing is said, and no section for shuffled frames without such a result") {
  const Run run;
  const std::string page = run.report();
  CHECK(occurrences(page, "class=\"absent\"") == 7);
  CHECK_FALSE(has(page, "id=\"shuffling\""));
  CHECK(has(page, "The run has no problems.json."));
  for (const char* name : {"metrics.jsonl", "config.toml"}) run.write(name, "");
  run.write("problems.json", "[]");
  run.write("environment.json", "{}");
  const std::string empty = run.report();
  CHECK(occurrences(empty, "class=\"absent\"") == 7);
  CHECK(has(empty, "None: every clip could be decoded."));
  fs::remove_all(run.path / "results");
  CHECK(run.report() == empty);
  CHECK_THROWS_AS(write_report(run.path / "absent"), Error);
}

TEST_CASE("report: hostile labels, file names and numbers stay text") {
  const Run run;
  const std::string script = "<script>alert('1')</script>", breaks = "\"/><svg onload=x>&amp;",
                    odd = "a\x01\x7F\xE2\x80\xAE\n";
  const std::string long_label(3000, 'x');
  run.write("results/a.json", result("classifier", {script, breaks, odd, long_label, ""}).dump());
  run.write("results/b.json", result(script, {script}).dump());
  run.write("environment.json", nlohmann::json{{script, breaks}, {"list", {1, "</style>"}}}.dump());
  run.write("config.toml", "\"" + std::string("<i>") + "\" = '" + "</table>" + "'\n");
  run.write("problems.json", nlohmann::json{{{"line", 1}, {"clip", script}, {"reason", odd}}}.dump());
  run.write("metrics.jsonl",
            train_line("<script>", 1, "1") + train_line("x", 1, "1e308") + train_line("x", 2, "-1e308"));
  const std::string page = run.report();
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "<svg onload"));
  CHECK_FALSE(has(page, "<i>"));
  CHECK(has(page, "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
  CHECK(page.find('\x01') == std::string::npos);
  CHECK(page.find('\x7F') == std::string::npos);
}

TEST_CASE("report: metrics that were cut off, written twice, or not finite") {
  const Run run;
  run.write("metrics.jsonl", train_line("classifier", 1, "5") + train_line("classifier", 2, "77") + "\n\r\n" +
                                 train_line("classifier", 2, "4") + train_line("classifier", 3, "null") +
                                 R"({"kind":"train","stage":"cla)");
  const std::string page = run.report();
  CHECK(has(page, "training: from 5 at step 1 to 4 at step 2, between 4 and 5."));
  CHECK(has(page, "The loss was not finite at 1 of the recorded steps, first at step 3."));
  // A last line without its end of line that is whole counts.
  const std::string line = train_line("classifier", 9, "2");
  run.write("metrics.jsonl", line.substr(0, line.size() - 1));
  CHECK(has(run.report(), "step 9"));
}

TEST_CASE("report: a damaged file is named, with its line") {
  struct Fault {
    const char *file, *text, *message;
  };
  const std::string good = train_line("classifier", 1, "5");
  const std::string middle = good + "{\"kind\":\n" + good, not_object = good + "3\n";
  for (const Fault& fault : std::initializer_list<Fault>{
           {"metrics.jsonl", middle.c_str(), "metrics.jsonl:2: not a line of JSON"},
           {"metrics.jsonl", not_object.c_str(), "metrics.jsonl:2: expected an object"},
           {"metrics.jsonl", "{\"kind\":\"tr\n", "metrics.jsonl:1: not a line of JSON"},
           {"metrics.jsonl", "{\"kind\":\"x\"}\n",
            "metrics.jsonl:1: kind: expected \"train\" or \"eval\", got \"x\""},
           {"metrics.jsonl", "{\"kind\":\"train\"}\n",
            "metrics.jsonl:1: stage: expected a value, but there is none"},
           {"metrics.jsonl", R"({"kind":"train","stage":"x","step":-1,"epoch":1})",
            "1: step: expected a whole number"},
           {"metrics.jsonl", R"({"kind":"train","stage":"x","step":1,"epoch":1,"loss":"a"})",
            "loss: expected a number"},
           {"config.toml", "a = 1\nb = \n", "config.toml:2: not TOML"},
           {"environment.json", "{\n\"a\": \n", "environment.json:3: not JSON"},
           {"environment.json", "[]", "environment.json: expected an object"},
           {"environment.json", "{\"a\": \"\xFF\"}", "environment.json:1: not JSON"},
           {"problems.json", "{}", "problems.json: expected an array"},
           {"data.json", "[]", "data.json: expected an object"},
           {"data.json", R"({"train":{"clips":-1}})", "data.json: train: clips: expected a whole number"},
           {"problems.json", R"([{"line":1,"clip":"a"}])", "problem 0: reason: expected a value"},
           {"results/x.json", "{}", "x.json: stage: expected a value"},
           {"results/x.json", "[1e999]", "x.json: not JSON"}}) {
    const Run run;
    run.write(fault.file, fault.text);
    CAPTURE(fault.message);
    const std::string message = run.error();
    CAPTURE(message);
    CHECK(message.starts_with(run.path.string()));
    CHECK(has(message, fault.message));
  }
}

TEST_CASE("report: a result whose parts do not fit together is refused") {
  const auto changed = [](const char* key, const nlohmann::ordered_json& value) {
    const Run run;
    nlohmann::ordered_json json = result("classifier", {"a", "b"});
    json[key] = value;
    run.write("results/x.json", json.dump());
    return run.error();
  };
  CHECK(has(changed("labels", {"a"}), "x.json: confusion: expected an array of 1"));
  CHECK(has(changed("labels", {"a", 1}), "x.json: labels: expected an array of strings"));
  CHECK(
      has(changed("confusion", {{1, 2}, {3, -4}}), "x.json: confusion: expected 2 rows of 2 whole numbers"));
  CHECK(has(changed("per_class", nlohmann::ordered_json::array({1, 2})),
            "x.json: per_class[0]: expected an object"));
  CHECK(has(changed("top1", nullptr), "x.json: top1: expected a number"));
  CHECK(has(changed("top1_interval", {1}), "x.json: top1_interval: expected an array of 2"));
  CHECK(has(changed("shuffled", 1), "x.json: shuffled: expected true or false"));
  CHECK(has(changed("optimum", 1), "x.json: optimum: expected an object"));
}

TEST_CASE("report: a result without samples, and one with many classes") {
  const Run run;
  nlohmann::ordered_json none = to_json(classify({}, {}, {"a", "b"}));
  for (const char* key : {"stage", "mode", "split", "manifest"}) none[key] = "classifier";
  run.write("results/a.json", none.dump());
  CHECK(has(run.report(), "There were no samples to score."));
  std::vector<std::string> labels;
  labels.reserve(60);
  for (int k = 0; k < 60; ++k) labels.push_back(fmt::format("class {}", k));
  run.write("results/b.json", result("similarity", labels).dump());
  const std::string page = run.report();
  CHECK(has(page, "class 59"));
  CHECK_FALSE(has(page, "class=\"count"));  // too many classes for text in the cells
}

TEST_CASE("report: a long run is thinned") {
  const Run run;
  std::string metrics;
  for (int step = 1; step <= 20000; ++step)
    metrics += train_line("contrastive", step, fmt::format("{}", step % 7 + 1));
  run.write("metrics.jsonl", metrics);
  const std::string page = run.report();
  CHECK(page.size() < 100'000);
}

TEST_CASE("report: thinning keeps the range and shows gaps") {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 1000; ++i) {
    const double y = i == 503 ? 100 : i >= 600 && i < 700 ? std::nan("") : 1;
    points.push_back({static_cast<double>(i), y, y, y});
  }
  const std::vector<ChartPoint> thin = thinned(points, 100);
  CHECK(thin.size() == 100);
  CHECK(std::count_if(thin.begin(), thin.end(), [](const auto& p) { return p.high == 100; }) == 1);
  CHECK(std::count_if(thin.begin(), thin.end(), [](const auto& p) { return std::isnan(p.y); }) >= 9);
  CHECK(std::is_sorted(thin.begin(), thin.end(), [](const auto& a, const auto& b) { return a.x < b.x; }));
  CHECK(thinned(points, 1000).size() == 1000);
  CHECK(thinned({}, 10).empty());
  CHECK(thinned(std::vector<ChartPoint>(5, ChartPoint{2, 1, 1, 1}), 3).size() == 1);
}

TEST_CASE("report: ticks are round and cover the data") {
  CHECK(axis_ticks(0, 100, 5) == std::vector<double>{0, 20, 40, 60, 80, 100});
  CHECK(axis_ticks(1, 3, 6, true) == std::vector<double>{1, 2, 3});
  for (const auto& range :
       {std::pair{0.0, 0.0}, {5.0, 5.0}, {-3.0, -3.0}, {1e-9, 3e-9}, {-2.0, 7e8}, {0.99, 1.01}}) {
    const double low = range.first, high = range.second;
    const std::vector<double> ticks = axis_ticks(low, high, 5);
    CAPTURE(low);
    CAPTURE(high);
    CHECK(ticks.size() >= 2);
    CHECK(ticks.size() <= 9);
    CHECK(ticks.front() <= low + 1e-9);
    CHECK(ticks.back() >= high - 1e-9);
  }
}

TEST_CASE("report: numbers and text") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(grouped(123) == "123");
  CHECK(number_text(0.04218) == "0.0422");
  CHECK(number_text(12.3449) == "12.34");
  CHECK(number_text(99999.5) == "100,000");
  CHECK(number_text(3e-5) == "3e-5");
  CHECK(number_text(-2.5e-4) == "-2.5e-4");
  CHECK(number_text(1.5e20) == "1.5e20");
  CHECK(number_text(std::nan("")) == "not finite");
  CHECK(percent_text(39.836) == "39.84 %");
  CHECK(shortened("caf\xC3\xA9 au lait", 5) == "caf\xC3\xA9\xE2\x80\xA6");
  CHECK(shortened("caf\xC3\xA9", 4) == "caf\xC3\xA9");
  const std::string replaced = "\xEF\xBF\xBD";
  CHECK(escape_markup("<&>\"'") == "&lt;&amp;&gt;&quot;&#39;");
  CHECK(escape_markup(std::string("a\0b", 3)) == "a" + replaced + "b");
  CHECK(escape_markup("\xC0\xAF") == replaced + replaced);                 // overlong
  CHECK(escape_markup("\xED\xA0\x80") == replaced + replaced + replaced);  // a surrogate
  CHECK(escape_markup("\xF0\x9F\x91\x8B") == "\xF0\x9F\x91\x8B");
  CHECK(escape_markup("\xF0\x9F\x91") == replaced + replaced + replaced);  // cut off
}

}  // namespace mg
