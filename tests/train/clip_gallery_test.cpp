#include "train/clip_gallery.h"

#include <doctest/doctest.h>

#include "engine/file.h"
#include "temporary_folder.h"

namespace mg {

TEST_CASE("clip gallery: a few clips of each label, each from another file, at their place in it") {
  test::TemporaryFolder folder;
  std::string csv =
      "clip,label,start_frame,end_frame\nvideos/a&b.mp4,wave,50,74\nvideos/a&b.mp4,wave,100,124\n";
  for (int i = 0; i < 6; ++i) csv += "videos/" + std::to_string(i) + ".mp4,<nod>,0,9\n";
  std::filesystem::create_directories(folder / "data");
  write_whole_file(folder / "data/manifest.csv", csv);
  const auto page = folder / "gestures.html";
  write_clip_gallery(page, read_manifest(folder / "data/manifest.csv"), 25);
  const std::string text = read_whole_file(page, ExitCode::failure);
  const auto count = [&](const std::string& part) {
    int found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
  };
  CHECK(count("<video") == 5);  // one of "wave", whose clips are of one file, and four of "<nod>"
  CHECK(count("src=\"data/videos/a&amp;b.mp4\" data-start=\"2.000\" data-end=\"3.000\"") == 1);
  CHECK(count("<h3>&lt;nod&gt;</h3>") == 1);
  CHECK(count("8 clips of 2 gestures") == 1);
}

}  // namespace mg
