// The predictions of every clip as tables, and figures of runs that cannot be written.
#include <doctest/doctest.h>

#include <fmt/core.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/mgtrain_command.h"
#include "data/csv.h"
#include "engine/file.h"

namespace mg::test {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json read_json(const fs::path& file) { return json::parse(read_whole_file(file, ExitCode::failure)); }

// Top-1 of a file of predictions in percent; its scores are probabilities whose greatest is the prediction's.
double top1_of(const fs::path& file) {
  const CsvTable table = read_csv(file);
  const auto label = static_cast<std::size_t>(table.column("label")), predicted = label + 1;
  REQUIRE(table.column("prediction") == static_cast<int>(predicted));
  double right = 0;
  for (const CsvRow& row : table.rows) {
    CAPTURE(row.line);
    if (row.fields[predicted].empty()) {
      for (std::size_t k = predicted + 1; k < row.fields.size(); ++k) CHECK(row.fields[k].empty());
      continue;
    }
    right += row.fields[label] == row.fields[predicted];
    double sum = 0, best = -1;
    std::size_t at = 0;
    for (std::size_t k = predicted + 1; k < row.fields.size(); ++k) {
      const double score = std::stod(row.fields[k]);
      sum += score;
      if (score > best) at = k;
      best = std::max(best, score);
    }
    CHECK(sum == doctest::Approx(1));
    CHECK(table.header[at] == column_key("score:" + row.fields[predicted]));
  }
  return 100 * right / static_cast<double>(table.rows.size());
}

}  // namespace

TEST_CASE("every result stands beside the predictions that it counts") {
  for (const std::string stage : {"contrastive", "classifier", "emotion"}) {
    CAPTURE(stage);
    const fs::path file = whole_run() / "results" / (stage + "-val");
    const json figures = read_json(file.string() + ".json");
    CHECK(top1_of(file.string() + ".csv") == doctest::Approx(figures["top1"].get<double>()));
    CHECK(static_cast<std::int64_t>(read_csv(file.string() + ".csv").rows.size()) == figures["n"]);
  }
}

TEST_CASE("a clip that cannot be decoded has no prediction, and names with commas are read back") {
  const TemporaryFolder folder;
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  fs::copy(video, folder / "a, \"b\".mp4");
  write_whole_file(folder / "text.mp4", "this is not a video\n");
  write_whole_file(folder / "m.csv",
                   "clip,label,start,end,split\n\"a, \"\"b\"\".mp4\",\"wave, twice\",0,0.5,train\n" +
                       video.string() + ",nod,,,train\n\"a, \"\"b\"\".mp4\",\"wave, twice\",,,test\n" +
                       "text.mp4,nod,,,test\n");
  const Output trained =
      mgtrain({"train", "--preset", "nano", "--manifest", folder / "m.csv", "--run", folder / "run",
               "--on-bad", "skip", "--stage", "contrastive", "--set", "contrastive.epochs=1"});
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  const Output eval = mgtrain({"eval", "--run", folder / "run", "--manifest", folder / "m.csv", "--on-bad",
                               "skip", "--csv", folder / "p.csv", "--json", folder / "p.json"});
  REQUIRE_MESSAGE(eval.code == 0, eval.err);
  CHECK(top1_of(folder / "p.csv") == doctest::Approx(read_json(folder / "p.json")["top1"].get<double>()));
  const CsvTable table = read_csv(folder / "p.csv");
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].fields[0] == "a, \"b\".mp4");
  CHECK(table.rows[0].fields[1] == "all");
  CHECK(table.rows[0].fields[2] == "wave, twice");
  CHECK(table.rows[1].fields[3].empty());
  CHECK(read_whole_file(folder / "p.csv", ExitCode::failure) ==
        read_whole_file(folder / "run/results/contrastive-test.csv", ExitCode::failure));
}

TEST_CASE("a run that cannot be written is measured all the same") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  fs::copy(whole_run(), run, fs::copy_options::recursive);
  // A file in the folder's place cannot be written into, not even by root.
  fs::remove_all(run / "results");
  write_whole_file(run / "results", "");
  const std::vector<std::string> eval{
      "eval",   "--run",           run,     "--manifest",    synthetic_data().manifest,
      "--json", folder / "e.json", "--csv", folder / "e.csv"};
  const Output printed = mgtrain(eval);
  CHECK_MESSAGE(printed.code == 0, printed.err);
  CHECK(printed.out.find("top-1") != std::string::npos);
  CHECK(printed.err.find("not kept in the run") != std::string::npos);
  CHECK(printed.err.find("--results DIR") != std::string::npos);
  CHECK(top1_of(folder / "e.csv") == doctest::Approx(read_json(folder / "e.json")["top1"].get<double>()));
  std::vector<std::string> elsewhere = eval;
  elsewhere.insert(elsewhere.end(), {"--results", folder / "new/results"});
  const Output kept = mgtrain(elsewhere);
  CHECK_MESSAGE(kept.code == 0, kept.err);
  CHECK(kept.err.find("not kept") == std::string::npos);
  CHECK(read_json(folder / "new/results/classifier-test.json") == read_json(folder / "e.json"));
  CHECK(fs::exists(folder / "new/results/classifier-test.csv"));
  const Output report = mgtrain({"report", "--run", run, "--out", folder / "report.html"});
  CHECK_MESSAGE(report.code == 0, report.err);
  CHECK(fs::exists(folder / "report.html"));
  elsewhere.back() = (folder / "e.json/results").string();
  CHECK(mgtrain(elsewhere).code == 1);
  std::vector<std::string> folder_as_file = eval;
  folder_as_file.back() = folder.path;
  CHECK(mgtrain(folder_as_file).code == 2);
}

TEST_CASE("labels that training lacked are measured by their texts") {
  const TemporaryFolder folder;
  const fs::path manifest = fs::path(synthetic_data().manifest).replace_filename("unseen.csv");
  const CsvTable table = read_csv(synthetic_data().manifest);
  const auto label = static_cast<std::size_t>(table.column("label")),
             split = static_cast<std::size_t>(table.column("split"));
  const std::string unseen = table.rows.front().fields[label];
  std::string text = csv_line(table.header);
  for (CsvRow row : table.rows) {
    if (row.fields[label] == unseen) row.fields[split] = "new";
    text += csv_line(row.fields);
  }
  write_whole_file(manifest, text);
  const std::vector<std::string> eval{"eval",    "--run", whole_run(), "--manifest",     manifest.string(),
                                      "--split", "new",   "--json",    folder / "e.json"};
  // One label only: more to choose from come by a file.
  std::vector<std::string> more = eval;
  more.insert(more.end(), {"--labels", "manifest"});
  CHECK(mgtrain(more).code == 4);
  write_whole_file(folder / "labels.txt", unseen + "\nsomething else\n");
  more.back() = folder / "labels.txt";
  const Output measured = mgtrain(more);
  REQUIRE_MESSAGE(measured.code == 0, measured.err);
  CHECK(measured.out.find("contrastive on new, zero-shot") != std::string::npos);
  const json figures = read_json(folder / "e.json");
  CHECK(figures["labels"] == json{unseen, "something else"});
  CHECK(figures["zero_shot"]["seen"] == json{unseen});
  CHECK(figures["zero_shot"]["unseen"] == json{"something else"});
  CHECK(figures["zero_shot"]["chance"] == 50.0);
  CHECK(figures["zero_shot"]["generalized"]["labels"] == 13);
  const fs::path kept = whole_run() / "results/contrastive-new-zero-shot";
  CHECK(top1_of(kept.string() + ".csv") == doctest::Approx(figures["top1"].get<double>()));
  CHECK(mgtrain({"report", "--run", whole_run()}).code == 0);
  fs::remove(kept.string() + ".csv");
  fs::remove(kept.string() + ".json");
  more.insert(more.end(), {"--mode", "classifier"});
  CHECK(mgtrain(more).code == 2);
}

TEST_CASE("a split with labels of its own does not stop training, and its error names the flag") {
  const TemporaryFolder folder;
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  const std::string v = video.string();
  write_whole_file(folder / "m.csv", "clip,label,start_frame,end_frame,split\n" + v + ",wave,0,5,train\n" +
                                         v + ",nod,6,9,train\n" + v + ",bow,0,7,test\n" + v +
                                         ",wave,1,7,test\n");
  const fs::path run = folder / "run";
  const Output trained = mgtrain({"train", "--preset", "nano", "--manifest", folder / "m.csv", "--run", run,
                                  "--stage", "contrastive", "--set", "contrastive.epochs=1"});
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  for (const std::string part :
       {"test: 1 label that train lacks: bow", "warning: 1 recording is in train and in test",
        "start     preset nano, contrastive.epochs=1", "contrastive: 1 epoch,", " eval --run ",
        " --split test\n", " predict --run ", " report --run "}) {
    CAPTURE(part);
    CHECK(trained.out.find(part) != std::string::npos);
  }
  std::vector<std::string> eval{"eval", "--run", run, "--manifest", folder / "m.csv"};
  const Output refused = mgtrain(eval);
  CHECK(refused.code == 4);
  CHECK(refused.err.find("m.csv:4: label 'bow'") != std::string::npos);
  CHECK(refused.err.find("--labels manifest") != std::string::npos);
  eval.insert(eval.end(), {"--labels", "manifest"});
  const Output measured = mgtrain(eval);
  REQUIRE_MESSAGE(measured.code == 0, measured.err);
  const json figures = read_json(run / "results/contrastive-test-zero-shot.json");
  CHECK(figures["labels"] == json{"bow", "wave"});
  CHECK(figures["zero_shot"]["unseen"] == json{"bow"});
  CHECK(figures["zero_shot"]["generalized"]["labels"] == 3);
  CHECK(figures["zero_shot"]["generalized"]["unseen"]["n"] == 1);
}

}  // namespace mg::test
