#include "data/manifest.h"

#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

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
      {frames + "a,x,1,b\n", ":2: end_frame: expected a whole number, got 'b'"},
      {frames + "a,x,1,2.5\n", ":2: end_frame: expected a whole number, got '2.5'"},
      {frames + "a,x,1,99999999999999999999\n",
       ":2: end_frame: expected a whole number, got '99999999999999999999'"},
      {frames + "a,x,-1,2\n", ":2: start_frame -1 is below 0"},
      {frames + "a,x,5,4\n", ":2: end_frame 4 is before start_frame 5"},
      {times + "a,x,1,nan\n", ":2: start is given without end"},
      {times + "a,x,1,inf\n", ":2: end: expected seconds (62.5) or a time (0:01:02.5), got 'inf'"},
      {times + "a,x,0,00:00:01:12\n",
       ":2: end: expected seconds (62.5) or a time (0:01:02.5), got '00:00:01:12'"},
      {frames + "a,x,1,\"1,000\"\n",
       ":2: end_frame: expected a whole number, got '1,000' (write it without separators of thousands)"},
      {"clip,label\na,#REF!\n", ":2: label: expected a name, got the spreadsheet's fault '#REF!'"},
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

TEST_CASE("manifest: names are read as people see them, and two that look alike are one error") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "m.csv";
  write_text(file,
             "clip,label,caption,subject,split,video\n"
             "a,\" M\u00E4dchen\u00A0\",,NaN,None,<NA>\n"
             "b,Ma\u0308dchen,nan,s1,,r\u200B\n"
             "c,None,NULL,N/A,,\"r \"\n");
  const Manifest manifest = read_manifest(file);
  CHECK(manifest.names_videos);
  CHECK(manifest.clips[0].label == "M\u00E4dchen");
  CHECK(manifest.clips[1].label == manifest.clips[0].label);
  CHECK(manifest.clips[1].caption == manifest.clips[0].label);
  CHECK(manifest.clips[0].subject.empty());
  CHECK(manifest.clips[0].split.empty());
  CHECK(manifest.clips[0].video == "a");
  CHECK(manifest.clips[1].video == manifest.clips[2].video);
  CHECK(manifest.clips[2].label == "None");
  CHECK(manifest.notes ==
        std::vector<std::string>{file.string() +
                                 ":4: 'None' is taken as the name of a label, not as a missing value"});
  const std::vector<std::pair<std::string, std::string>> faults{
      {"clip,label\na,nod\nb,x\nc,Nod\n", ":4: the label 'Nod' differs from 'nod' in line 2 only in case: "},
      {"clip,label\na,touch ear\nb,touch_ear\n",
       ":3: the label 'touch_ear' differs from 'touch ear' in line 2 "},
      {"clip,label\na,nod\nb,n\u043Ed\n",
       ":3: the label 'n\u043Ed' differs from 'nod' in line 2 only in characters that look alike or cannot "
       "be seen "
       "(U+043E and U+006F)"},
      {"clip,label\na, \u00A0\n", ":2: label is empty"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    write_text(file, text);
    const std::string error = data_error([&] { read_manifest(file); });
    CHECK_MESSAGE(error.find(file.string() + message) == 0, error);
  }
  write_text(file, "clip,label,subject,splt\na,x,S1,train\nb,y,s1,val\n");
  CHECK(read_manifest(file).notes ==
        std::vector<std::string>{
            file.string() + ": the column 'splt' is ignored: is it meant to be 'split'?",
            file.string() + ":3: the subject 's1' differs from 'S1' in line 2 only in case"});
}

TEST_CASE("manifest: a split is read however it is spelled, in one spelling a file") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "m.csv";
  const auto clips_in = [&](const std::string& text, const std::string& split) {
    write_text(file, "clip,label,split\n" + text);
    return clips_of_split(read_manifest(file), split).size();
  };
  const std::string three = "a,x,{}\nb,y,{}\nc,x,other\n";
  const std::vector<std::pair<std::string, std::string>> spellings{
      {"Train", "train"}, {"TRAIN", "train"}, {" training ", "train"}, {"Validation", "val"},
      {"valid", "val"},   {"dev", "val"},     {"Testing", "test"},     {"\uFF34est", "test"}};
  for (const auto& [written, split] : spellings) {
    CAPTURE(written);
    CHECK(clips_in(fmt::format(fmt::runtime(three), written, written), split) == 2);
    CHECK(clips_of_split(read_manifest(file), written).size() == 2);
    const auto notes = read_manifest(file).notes;
    REQUIRE(notes.size() == 2);
    CHECK(contains(notes[0] + notes[1], "is read as '" + split + "'"));
    CHECK(contains(notes[0] + notes[1], ":4: the split 'other' (1 rows) is none of train, val and test"));
  }
  CHECK(clips_in("a,x,train\nb,y,\nc,x,\n", "train") == 1);
  CHECK(read_manifest(file).notes.front() ==
        file.string() + ":3: 2 rows have no split, while others have one: they are in none");
  for (const char* name : {"rest", "test2", "trainval", "fold 1"}) {
    CAPTURE(name);
    CHECK(clips_in(fmt::format(fmt::runtime(three), name, name), name) == 2);
  }
  const std::vector<std::pair<std::string, std::string>> faults{
      {"a,x,train\nb,y,Train\n", ":3: the split 'Train' is 'train' in line 2: write it in one way only"},
      {"a,x,val\nb,y,dev\n", ":3: the split 'dev' is 'val' in line 2: write it in one way only"},
      {"a,x,fold 1\nb,y,Fold 1\n", ":3: the split 'Fold 1' is 'fold 1' in line 2: write it in one way only"},
      {"a,x,trian\n",
       ":2: the split 'trian' looks like a misspelled 'train': name it so, or quite differently"},
      {"a,x,tets\n", ":2: the split 'tets' looks like a misspelled 'test': name it so, or quite differently"},
      {"a,x,vall\n", ":2: the split 'vall' looks like a misspelled 'val': name it so, or quite differently"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    CHECK(data_error([&] { clips_in(text, "train"); }) == file.string() + message);
  }
}

TEST_CASE("manifest: a clip's file is found in the spelling that is there, as written first") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "m.csv";
  fs::create_directories(folder / "d");
  for (const char* name :
       {"d/a.mp4", "d/\u00E4.mp4", "d/o\u0308.mp4", " e .mp4", "f\\g.mp4", "h\u00A0", "h"}) {
    write_text(folder / name, "");
  }
  const std::vector<std::pair<std::string, std::string>> clips{{"d/a.mp4", "d/a.mp4"},
                                                               {"d\\a.mp4", "d/a.mp4"},
                                                               {"\u00A0d/a.mp4", "d/a.mp4"},
                                                               {"d/a\u0308.mp4", "d/\u00E4.mp4"},
                                                               {"d\\\u00F6.mp4", "d/o\u0308.mp4"},
                                                               {"\" e .mp4\"", " e .mp4"},
                                                               {"f\\g.mp4", "f\\g.mp4"},
                                                               {"h\u00A0", "h\u00A0"},
                                                               {"none.mp4 ", "none.mp4"}};
  for (const auto& [written, found] : clips) {
    CAPTURE(written);
    write_text(file, "clip,label\n" + written + ",x\n");
    CHECK(read_manifest(file).clips.front().path == folder / found);
  }
}

TEST_CASE("manifest: numbers as programs write them") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "m.csv";
  write_text(file,
             "sep=;\nClip;LABEL; Start Frame ;end_frame;start;end;;\n"
             "a;x;3,0;1e3;NaN;None;;\n;;;;;;;\nb;x;;;0:01:02,5;62,75;;\n");
  const Manifest manifest = read_manifest(file);
  REQUIRE(manifest.clips.size() == 2);
  CHECK(range_text(manifest.clips[0]) == "frames 3-1000");
  CHECK(range_text(manifest.clips[1]) == "seconds 62.5-62.75");
  CHECK(manifest.clips[1].line == 5);
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
      {"video,emotion\nv,win\nw,Win\n",
       ":3: the emotion 'Win' differs from 'win' in line 2 only in case: write both the same way, or rename "
       "one"},
      {"video,emotion,split\nv,win,val\nw,lose,Val\n",
       ":3: the split 'Val' is 'val' in line 2: write it in one way only"},
      {"video,emotion\n\"v \",win\nv\u00A0,lose\n", ":3: the video v is in line 2 already"},
      {"video,emotion\n", ": there are no videos in it"}};
  for (const auto& [text, message] : faults) {
    CAPTURE(text);
    write_text(file, text);
    CHECK(data_error([&] { read_emotions(file); }) == file.string() + message);
  }
}

}  // namespace mg
