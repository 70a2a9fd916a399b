// predict on lists: what cannot be read does not lose the rest, and files of any length are whole.
#include <doctest/doctest.h>

#include <fmt/core.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/mgtrain_command.h"
#include "data/csv.h"
#include "engine/file.h"

namespace mg::test {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::vector<json> read_lines(const fs::path& file) {
  std::istringstream lines(read_whole_file(file, ExitCode::failure));
  std::vector<json> all;
  for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
  return all;
}

}  // namespace

TEST_CASE("videos that cannot be read are listed at the end, and the others are predicted") {
  const TemporaryFolder folder;
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  write_whole_file(folder / "text.mp4", "this is not a video\n");
  const Output output = mgtrain({"predict", "--run", whole_run(), "--csv", folder / "p.csv", "--jsonl",
                                 folder / "p.jsonl", folder / "text.mp4", video, folder / "none.mp4"});
  CHECK(output.code == 4);
  CHECK(output.err.find("2 of 3 clips cannot be read:") != std::string::npos);
  CHECK(output.err.find("none.mp4") != std::string::npos);
  CHECK(output.err.find("text.mp4") != std::string::npos);
  const CsvTable table = read_csv(folder / "p.csv");
  REQUIRE(table.rows.size() == 3);
  CHECK(table.header.size() == 4 + 12);
  const std::size_t predicted = 3;
  CHECK(table.rows[0].fields[predicted].empty());
  CHECK_FALSE(table.rows[1].fields[predicted].empty());
  const std::vector<json> lines = read_lines(folder / "p.jsonl");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].contains("error"));
  CHECK(lines[1]["labels"][0]["label"] == table.rows[1].fields[predicted]);
  for (const auto& entry : fs::directory_iterator(folder.path)) {
    CHECK(entry.path().string().find(".partial") == std::string::npos);
  }
}

TEST_CASE("a manifest is predicted as evaluation does, in groups, and needs no labels") {
  const TemporaryFolder folder;
  const std::vector<std::string> predict{"predict", "--run", whole_run(), "--csv", folder / "p.csv"};
  const auto with = [&](const std::string& manifest) {
    std::vector<std::string> all = predict;
    all.insert(all.end(), {"--manifest", manifest});
    return mgtrain(all);
  };
  const Output labelled = with(synthetic_data().manifest);
  REQUIRE_MESSAGE(labelled.code == 0, labelled.err);
  CHECK(labelled.err.find("96/96 clips") != std::string::npos);
  std::map<std::string, std::vector<std::string>> lines;
  for (const CsvRow& row : read_csv(folder / "p.csv").rows) {
    lines[row.fields[0] + row.fields[1]] = row.fields;
  }
  CHECK(lines.size() == 96);
  for (const CsvRow& row : read_csv(whole_run() / "results/classifier-val.csv").rows) {
    const std::vector<std::string>& fields = lines.at(row.fields[0] + row.fields[1]);
    for (std::size_t i = 0; i < 4; ++i) CHECK(fields[i] == row.fields[i]);
    for (std::size_t i = 4; i < fields.size(); ++i) {
      CHECK(std::stod(fields[i]) == doctest::Approx(std::stod(row.fields[i])).epsilon(1e-5));
    }
  }
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  write_whole_file(folder / "m.csv", "clip,start_frame,end_frame\n" + video.string() + ",0,5\n" +
                                         video.string() + ",2,7\nnone.mp4,,\n");
  const Output ranges = with(folder / "m.csv");
  CHECK(ranges.code == 4);
  CHECK(ranges.err.find("m.csv:4: ") != std::string::npos);
  const CsvTable table = read_csv(folder / "p.csv");
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[1].fields[1] == "frames 2-7");
  CHECK(table.rows[1].fields[2].empty());
  CHECK(mgtrain(predict).code == 2);
  std::vector<std::string> both = predict;
  both.insert(both.end(), {"--manifest", folder / "m.csv", video});
  CHECK(mgtrain(both).code == 2);
}

TEST_CASE("what is predicted when a long list is stopped is kept under another name") {
  const TemporaryFolder folder;
  const fs::path video = fs::directory_iterator(synthetic_data().folder / "synth/videos")->path();
  std::string list = "clip,start_frame,end_frame\n";
  for (int i = 0; i < 20000; ++i) list += fmt::format("{},{},{}\n", video.string(), i % 30, 30 + i / 30);
  write_whole_file(folder / "m.csv", list);
  const fs::path aside = folder / "p.jsonl.partial.tmp";
  const Output stopped = mgtrain_signalled(
      {"predict", "--run", whole_run(), "--manifest", folder / "m.csv", "--jsonl", folder / "p.jsonl"},
      [&] { return fs::exists(aside) && fs::file_size(aside) > 10000; }, SIGINT);
  CHECK(stopped.code == 130);
  CHECK(stopped.err.find(" of 20000 clips; kept in ") != std::string::npos);
  CHECK_FALSE(fs::exists(folder / "p.jsonl"));
  CHECK_FALSE(fs::exists(aside));
  CHECK(read_lines(folder / "p.jsonl.partial").size() >= 64);
}

}  // namespace mg::test
