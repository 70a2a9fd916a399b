// Text files as people's programs write them, through the command line: read the same, or refused in one
// line.
#include <doctest/doctest.h>

#include <algorithm>

#include "cli/mgtrain_command.h"
#include "engine/file.h"
#include "engine/text_file.h"

namespace mg::test {

namespace fs = std::filesystem;

namespace {

std::string utf16(const std::string& ascii) {
  std::string bytes = "\xFF\xFE";
  for (const char c : ascii) bytes += {c, '\0'};
  return bytes;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The synthetic manifest with absolute paths, so that it may lie anywhere.
std::string manifest_text() {
  const fs::path videos = synthetic_data().folder / "synth/videos";
  return replaced(read_whole_file(synthetic_data().manifest, ExitCode::failure), "videos/",
                  videos.string() + "/");
}

std::string emotions_text() { return read_whole_file(synthetic_data().emotions, ExitCode::failure); }

Output train(const TemporaryFolder& folder, const std::string& run, std::vector<std::string> more) {
  std::vector<std::string> all{"train",   "--preset",         "nano", "--run", folder / run,
                               "--cache", folder / "cache.h5"};
  for (const char* stage : {"contrastive", "classifier", "emotion"}) {
    all.insert(all.end(), {"--set", std::string(stage) + ".epochs=1"});
  }
  all.insert(all.end(), more.begin(), more.end());
  return mgtrain(all);
}

void check_refused(const Output& output, const std::vector<std::string>& parts) {
  INFO(output.err);
  CHECK(output.code == 4);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(output.err.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("files from a Windows spreadsheet train the same model as plain ones") {
  const TemporaryFolder folder;
  const std::string plain = manifest_text(), config = "[contrastive]\nbatch = 8\n";
  const std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nperson\nhead\n##s\nthe\n";
  write_whole_file(folder / "m.csv", plain);
  write_whole_file(folder / "c.toml", config);
  write_whole_file(folder / "vocab.txt", vocabulary);
  const Output first = train(folder, "plain",
                             {"--manifest", folder / "m.csv", "--config", folder / "c.toml", "--stage",
                              "contrastive", "--set", "text.vocabulary=" + (folder / "vocab.txt").string()});
  REQUIRE_MESSAGE(first.code == 0, first.err);

  std::string windows = replaced(plain, ",", ";");
  windows = replaced(windows, ";train;", "; Training\t;");
  windows = replaced(windows, ";val;", ";Val;");
  windows = replaced(windows, "clip;label;start_frame", "Clip ;LABEL;Start Frame");
  windows = replaced(windows, "\n", ";;\n;;;;;;;;;\n");
  write_whole_file(folder / "m.csv", utf16("sep=;\r\n" + replaced(windows, "\n", "\r\n")));
  write_whole_file(folder / "c.toml", "\xEF\xBB\xBF" + replaced(config, "\n", "\r"));
  write_whole_file(folder / "vocab.txt", utf16(replaced(vocabulary, "\n", "\r\n") + "\r\n\r\n"));
  const Output second = train(folder, "windows",
                              {"--manifest", folder / "m.csv", "--config", folder / "c.toml", "--stage",
                               "contrastive", "--set", "text.vocabulary=" + (folder / "vocab.txt").string()});
  REQUIRE_MESSAGE(second.code == 0, second.err);
  CHECK(second.err.find("the split 'Training' is read as 'train'") != std::string::npos);
  CHECK(final_weights(folder / "plain") == final_weights(folder / "windows"));
  CHECK(read_whole_file(folder / "windows/vocab.txt", ExitCode::failure) == vocabulary);

  for (const std::string& labels :
       {std::string("nod\nwave\n"), utf16("nod\r\nwave\r\n"), std::string("id;label\r0;nod\r1;wave\r")}) {
    write_whole_file(folder / "labels.txt", labels);
    const Output ranked = mgtrain({"predict", "--run", folder / "windows", "--labels", folder / "labels.txt",
                                   (synthetic_data().folder / "synth/videos/s001_1.mp4").string()});
    CHECK_MESSAGE(ranked.code == 0, ranked.err);
    CHECK(ranked.out.find("wave\n") != std::string::npos);
  }
  write_whole_file(folder / "labels.txt", "nod\ncaf\xE9\n");
  check_refused(mgtrain({"predict", "--run", folder / "windows", "--labels", folder / "labels.txt", "x.mp4"}),
                {"labels.txt:2: not UTF-8 (byte 0xe9", "CSV UTF-8"});
  write_whole_file(folder / "labels.txt", "nod\nNod\n");
  check_refused(mgtrain({"predict", "--run", folder / "windows", "--labels", folder / "labels.txt", "x.mp4"}),
                {"labels.txt:2: the label 'Nod' differs from 'nod' in line 1 only in case"});
}

TEST_CASE("a manifest that is no text, or whose names look alike, is one error and leaves no run") {
  const TemporaryFolder folder;
  const std::string plain = manifest_text();
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases{
      {"PK\x03\x04" + plain, {"m.csv:1: is a ZIP archive, as Excel workbooks (.xlsx) are", "CSV UTF-8"}},
      {utf16(plain).substr(2), {"m.csv:1: UTF-16 without a byte order mark"}},
      {plain + "\xE4,x,0,1,,,train,\n", {"m.csv:98: not UTF-8 (byte 0xe4"}},
      {plain + "a.mp4,Leaning Back,0,1,,,train,\n",
       {"m.csv:98: the label 'Leaning Back' differs from 'leaning back'", "only in case"}},
      {plain + "a.mp4,leaning back,0,1,,,Train,\n", {"m.csv:98: the split 'Train' is 'train' in line 2"}},
      {plain + "a.mp4,leaning back,0,1,,,trian,\n",
       {"m.csv:98: the split 'trian' looks like a misspelled 'train'"}},
      {plain + "a.mp4,leaning back,0,\"1,000\",,,train,\n",
       {"m.csv:98: end_frame: expected a whole number, got '1,000'"}}};
  for (const auto& [text, parts] : cases) {
    CAPTURE(parts.front());
    write_whole_file(folder / "m.csv", text);
    check_refused(train(folder, "run", {"--manifest", folder / "m.csv"}), parts);
    CHECK_FALSE(fs::exists(folder / "run"));
  }
}

TEST_CASE("emotions that belong to no clip are refused before anything is decoded") {
  const TemporaryFolder folder;
  const std::string manifest = folder / "m.csv", emotions = folder / "e.csv";
  const auto refused = [&](const std::string& clips, const std::string& videos,
                           const std::vector<std::string>& parts) {
    write_whole_file(manifest, clips);
    write_whole_file(emotions, videos);
    CAPTURE(videos);
    check_refused(train(folder, "run", {"--manifest", manifest, "--emotion", emotions}), parts);
    CHECK_FALSE(fs::exists(folder / "run"));
    CHECK_FALSE(fs::exists(folder / "cache.h5"));
  };
  const std::string plain = manifest_text();
  const std::string no_column = replaced(plain, ",split,video\n", ",split,recording\n");
  refused(plain, "video,emotion\nrec1,sad\nrec2,glad\n",
          {"e.csv: none of its 2 videos has a clip in ", "'rec1' (line 2)", "'s001_1' (line 2)",
           "the nearest to 'rec1' is"});
  refused(no_column, "video,emotion\nrec1,sad\nrec2,glad\n", {"The manifest has no column 'video'"});
  refused(no_column, emotions_text(),
          {"e.csv:2: the video 's001_1' has no clip in ",
           "s001_1.mp4' (line 2) differs only in its folder or ending", "without a column 'video'"});
  refused(plain, "video,emotion\ns001_1.mp4,sad\ns002_1,glad\n",
          {"e.csv:2: the video 's001_1.mp4' has no clip in ",
           "'s001_1' (line 2) differs only in its folder or ending"});
  refused(plain, "video,emotion\nS001_1,sad\ns002_1,glad\n",
          {"e.csv:2: the video 'S001_1'", "differs only in case"});
  refused(plain, "video,emotion\ns001_1,sad\ns002_1,Sad\n",
          {"e.csv:3: the emotion 'Sad' differs from 'sad' in line 2"});
  refused(plain, "video,emotion\ns001_1,sad\ns002_1,sad\n", {"e.csv: expected two emotions at least, got 1"});
  refused(plain, "video,emotion,split\ns001_1,sad,test\ns002_1,glad,test\n",
          {"e.csv: no video with clips in ", "is in the split 'train'"});
}

TEST_CASE(
    "emotions that belong to some clips are counted and named, and those without frames are not trained on") {
  const TemporaryFolder folder;
  write_whole_file(folder / "text.mp4", "this is not a video\n");
  write_whole_file(folder / "m.csv", manifest_text() + "text.mp4,leaning back,0,9,,,train,ghost\n" +
                                         "text.mp4,leaning back,10,19,,,test,spirit\n");
  std::string emotions =
      replaced(emotions_text(), "s002_2,", "nobody,") + "ghost,positive,,train\nspirit,positive,,test\n";
  write_whole_file(folder / "e.csv", emotions);
  const Output trained = train(
      folder, "run", {"--manifest", folder / "m.csv", "--emotion", folder / "e.csv", "--on-bad", "skip"});
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  const std::string unread = "e.csv: no gesture is known of 2 of 9 videos";
  CHECK_MESSAGE(trained.err.find("e.csv: 1 of 10 videos have no clip in ") != std::string::npos, trained.err);
  CHECK(trained.err.find("are left out: 'nobody' (line 5)") != std::string::npos);
  CHECK(trained.err.find("m.csv: 1 of 10 videos have no emotion in ") != std::string::npos);
  CHECK(trained.err.find(unread) != std::string::npos);
  CHECK(trained.err.find("'ghost', 'spirit'") != std::string::npos);
  const auto evaluate = [&](const std::string& videos) {
    write_whole_file(folder / "e.csv", videos);
    return mgtrain({"eval", "--run", folder / "run", "--manifest", folder / "m.csv", "--cache",
                    folder / "cache.h5", "--on-bad", "skip", "--mode", "emotion", "--emotion",
                    folder / "e.csv", "--split", "Testing", "--json", folder / "e.json"});
  };
  const Output eval = evaluate(emotions);
  CHECK_MESSAGE(eval.code == 0, eval.err);
  CHECK(read_whole_file(folder / "e.json", ExitCode::failure).find("\"split\": \"test\"") !=
        std::string::npos);
  CHECK(read_whole_file(folder / "e.json", ExitCode::failure).find("\"n\": 3") != std::string::npos);
  CHECK(eval.err.find("evaluation counts them as wrong: 'spirit'") != std::string::npos);
  check_refused(evaluate("video,emotion\nx,positive\n"), {"e.csv: none of its 1 videos has a clip in "});
  check_refused(
      evaluate("video,emotion\ns005_1,Positive\n"),
      {"e.csv:2: emotion 'Positive' is none of those that the model knows", "differs only in case"});
}

}  // namespace mg::test
