#include "data/manifest.h"

#include <map>

#include "data/csv.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

using Fields = std::vector<std::string>;

}  // namespace

TEST_CASE("csv: quotes, line breaks, CRLF, a byte order mark, blank lines; rows know their line") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a.csv";
  write_text(file,
             "\xEF\xBB\xBF"
             "clip,label\r\n"
             "\r\n"
             "a.mp4,\"touch, or \"\"rub\"\"\"\r\n"
             "b.mp4,\"two\r\nlines\r\n\r\n\"\r\n"
             "  \t \n"
             " c d.mp4\t,\" kept \"\n"
             ",\n"
             "\"\",\xC3\xA9");
  const CsvTable table = read_csv(file);
  CHECK(table.header == Fields{"clip", "label"});
  CHECK(table.column("label") == 1);
  CHECK(table.column("Label") == -1);
  REQUIRE(table.rows.size() == 5);
  CHECK(table.rows[0].fields == Fields{"a.mp4", "touch, or \"rub\""});
  CHECK(table.rows[1].fields == Fields{"b.mp4", "two\r\nlines\r\n\r\n"});
  CHECK(table.rows[2].fields == Fields{"c d.mp4", " kept "});
  CHECK(table.rows[3].fields == Fields{"", ""});
  CHECK(table.rows[4].fields == Fields{"", "\xC3\xA9"});
  const std::vector<std::int64_t> lines{3, 4, 9, 10, 11};
  for (std::size_t i = 0; i < lines.size(); ++i) CHECK(table.rows[i].line == lines[i]);
}

TEST_CASE("csv: what is written is read") {
  const TemporaryFolder folder;
  const std::vector<Fields> rows{{"plain", "with space"},
                                 {"comma,", "quote\""},
                                 {" edge", "edge\t"},
                                 {"line\nbreak", "line\r\nbreak"},
                                 {"", ""},
                                 {"ä", "\"\""}};
  std::string text = csv_line({"a", "b"});
  CHECK(text == "a,b\n");
  for (const Fields& row : rows) text += csv_line(row);
  write_text(folder.path / "x.csv", text);
  const CsvTable table = read_csv(folder.path / "x.csv");
  REQUIRE(table.rows.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) CHECK(table.rows[i].fields == rows[i]);
  write_text(folder.path / "y.csv", csv_line({"a"}) + csv_line({""}) + csv_line({"x"}));
  CHECK(read_csv(folder.path / "y.csv").rows.size() == 2);
}

TEST_CASE("csv: faults name file and line") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "bad.csv";
  const std::map<std::string, std::string> faults{
      {"", ": is empty: expected a header row"},
      {"\n \n", ": is empty: expected a header row"},
      {"a,b,a\n", ":1: the column 'a' is there twice"},
      {"a,b\n1,2\n\n1,2,3\n", ":4: expected 2 fields as in the header, got 3"},
      {"a,b\n1\n", ":2: expected 2 fields as in the header, got 1"},
      {"a,b\n1,\"x\n\n", ":2: a quoted field that starts in this row does not end"},
      {"a,b\n1,2\n1,x\"y\"\n", ":3: a quote where none may be"},
      {"a,b\n\"x\"y,2\n", ":2: a quote where none may be"},
      {"a,b\n1,\xFF\n", ":2: not UTF-8"},
      {"a,b\n1,2\n3,\xC3\n", ":3: not UTF-8"},
      {std::string("a,b\n1,x\0y\n", 10), ":2: holds a NUL character"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    write_text(file, text);
    CHECK(data_error([&] { read_csv(file); }) == file.string() + message);
  }
  CHECK(contains(data_error([&] { read_csv(folder.path / "none.csv"); }), "none.csv: cannot read"));
  CHECK(contains(data_error([&] { read_csv(folder.path); }), "it is a folder"));
}

TEST_CASE("manifest: columns, defaults and paths") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "m.csv";
  write_text(file,
             "label,clip,start_frame,end_frame,start,end,caption,subject,split,video,other\n"
             "nod,v/a.mp4,0,0,,,,s1,train,,x\n"
             "nod,v/a.mp4,1,5,,,nods once,s1,train,rec1,x\n"
             "shake,../b.mp4,,,0.5,1.25,,s2,test,rec2,x\n"
             "blink,/abs/c.mp4,,,,,,,,,x\n");
  const Manifest manifest = read_manifest(file);
  REQUIRE(manifest.clips.size() == 4);
  const Clip& a = manifest.clips[0];
  CHECK(a.line == 2);
  CHECK(a.name == "v/a.mp4");
  CHECK(a.path == folder.path / "v/a.mp4");
  REQUIRE(a.frames.has_value());
  CHECK(a.frames->first == 0);
  CHECK(a.frames->last == 0);
  CHECK_FALSE(a.time.has_value());
  CHECK(a.caption == "nod");
  CHECK(a.video == "v/a.mp4");
  CHECK(range_text(a) == "frames 0-0");
  CHECK(manifest.clips[1].caption == "nods once");
  CHECK(manifest.clips[1].video == "rec1");
  CHECK(manifest.clips[2].path == folder.path.parent_path() / "b.mp4");
  CHECK(range_text(manifest.clips[2]) == "seconds 0.5-1.25");
  CHECK(manifest.clips[3].path == "/abs/c.mp4");
  CHECK(range_text(manifest.clips[3]) == "all");
  CHECK(clips_of_split(manifest, "train").size() == 2);
  const auto tested = require_split(manifest, "test");
  CHECK(manifest.clips[static_cast<std::size_t>(tested.front())].label == "shake");
  CHECK(clips_of_split(manifest, "val").empty());
  CHECK(clips_of_split(manifest, "").empty());
  CHECK(data_error([&] { require_split(manifest, "val"); }) ==
        file.string() + ": no clip is in the split 'val': there are: test, train");
}

TEST_CASE("manifest: without splits all is train") {
  const TemporaryFolder folder;
  write_text(folder.path / "m.csv", "clip,label\na,x\nb,y\n");
  const Manifest manifest = read_manifest(folder.path / "m.csv");
  CHECK(clips_of_split(manifest, "train") == std::vector<std::int64_t>{0, 1});
  CHECK(clips_of_split(manifest, "test").empty());
  CHECK(contains(data_error([&] { require_split(manifest, "test"); }), "there are: train"));
}

TEST_CASE("manifest: faults name file and line") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "m.csv";
  const std::string frames = "clip,label,start_frame,end_frame\n", times = "clip,label,start,end\n";
  const std::vector<std::pair<std::string, std::string>> faults{
      {"clip,lable\na,x\n", ":1: there is no column 'label' (nearest: 'lable')"},
      {"clip,label\n", ": there are no clips in it"},
      {"clip,label\na,x\n,y\n", ":3: clip is empty"},
      {"clip,label\na,\n", ":2: label is empty"},
      {frames + "a,x,1,\n", ":2: start_frame is given without end_frame"},
      {frames + "a,x,,1\n", ":2: end_frame is given without start_frame"},
      {"clip,label,start\na,x,1\n", ":2: start is given without end"},
      {frames + "a,x,1,b\n", ":2: end_frame: expected a number, got 'b'"},
      {frames + "a,x,1,2.5\n", ":2: end_frame: expected a number, got '2.5'"},
      {frames + "a,x,1,99999999999999999999\n",
       ":2: end_frame: expected a number, got '99999999999999999999'"},
      {frames + "a,x,-1,2\n", ":2: start_frame -1 is below 0"},
      {frames + "a,x,5,4\n", ":2: end_frame 4 is before start_frame 5"},
      {times + "a,x,1,nan\n", ":2: start,end: expected finite numbers"},
      {times + "a,x,1,1\n", ":2: end 1 is not after start 1"},
      {times + "a,x,-0.5,1\n", ":2: start -0.5 is below 0"},
      {"clip,label,start,end,start_frame,end_frame\na,x,1,2,3,4\n",
       ":2: both start_frame,end_frame and start,end are given: expected one"},
      {frames + "a,x,1,2\na,x,3,4\n./a,y,1,2\n", ":4: the clip ./a (frames 1-2) is in line 2 already"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    write_text(file, text);
    CHECK(data_error([&] { read_manifest(file); }) == file.string() + message);
  }
}

TEST_CASE("emotions: columns and faults") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "e.csv";
  write_text(file, "video,emotion,subject\nv1,win,s1\nv2,lose,s2\n");
  const EmotionLabels labels = read_emotions(file);
  REQUIRE(labels.videos.size() == 2);
  CHECK(labels.videos[1].video == "v2");
  CHECK(labels.videos[1].emotion == "lose");
  CHECK(labels.videos[1].subject == "s2");
  CHECK(labels.videos[1].split.empty());
  CHECK(labels.videos[1].line == 3);
  const std::vector<std::pair<std::string, std::string>> faults{
      {"video,emotions\nv,e\n", ":1: there is no column 'emotion' (nearest: 'emotions')"},
      {"video,emotion\nv,\n", ":2: emotion is empty"},
      {"video,emotion\nv,win\nv,lose\n", ":3: the video v is in line 2 already"},
      {"video,emotion\n", ": there are no videos in it"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    write_text(file, text);
    CHECK(data_error([&] { read_emotions(file); }) == file.string() + message);
  }
}

}  // namespace mg
