// Folders of pictures as clips.
#include "data/picture_folder.h"

#include "data/file_hash.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

std::string frames_of(const fs::path& path) {
  VideoReader reader(path);
  return reader_rgb(reader);
}
std::string error_of(const fs::path& path) {
  return data_error([&] { frames_of(path); });
}

// Pictures 1 to count in a new folder.
fs::path make_pictures(const fs::path& folder, const std::string& pattern, int count,
                       const std::string& more = "") {
  fs::create_directories(folder);
  CHECK(output_of("ffmpeg -nostdin -v error -y " + test_source(64, 48, count) + " " + more + " '" +
                  (folder / pattern).string() + "' 2>&1") == "");
  return folder;
}

std::string ffmpeg_pictures(const fs::path& folder, const std::string& pattern) {
  return output_of("ffmpeg -nostdin -v error -i '" + (folder / pattern).string() +
                   "' -fps_mode passthrough -pix_fmt rgb24 -f rawvideo -");
}

void rename(const fs::path& folder, const std::string& from, const std::string& to) {
  fs::rename(folder / from, folder / to);
}

}  // namespace

TEST_CASE("pictures are the frames, in the order of their numbers, as ffmpeg decodes them") {
  const TemporaryFolder folder;
  for (const std::string pattern : {"img_%05d.jpg", "%d.png", "take 2 frame%d.bmp", "f%d.JPG"}) {
    CAPTURE(pattern);
    const fs::path pictures = make_pictures(folder.path / pattern.substr(pattern.size() - 5), pattern, 12);
    write_text(pictures / "Thumbs.db", "x");
    write_text(pictures / ".hidden.jpg", "x");
    const std::string got = frames_of(pictures), expected = ffmpeg_pictures(pictures, pattern);
    CHECK(got.size() == 12 * 64 * 48 * 3);
    CHECK((got == expected));
  }
  for (const std::string format : {"gray16be", "rgba", "pal8", "monob"}) {
    CAPTURE(format);
    const fs::path pictures = make_pictures(folder.path / format, "p%02d.png", 3, "-pix_fmt " + format);
    CHECK((frames_of(pictures) == ffmpeg_pictures(pictures, "p%02d.png")));
  }
}

TEST_CASE("a folder of pictures has ranges by number, and none by time") {
  const TemporaryFolder folder;
  const fs::path pictures = make_pictures(folder.path / "clip", "%d.png", 12);
  Clip clip = clip_of(pictures);
  const DecodeSpec spec{24, 32, ResizeFilter::area, 0};
  const Frames all = decode_clip(clip, spec);
  CHECK(all.count == 12);
  clip.frames = FrameRange{9, 11};
  CHECK((decode_clip(clip, spec).rgb == select_frames(all, {9, 10, 11}).rgb));
  const std::string none = pictures.string() + ": a folder of pictures has no times";
  CHECK(contains(data_error([&] { decode_clip(clip, {24, 32, ResizeFilter::area, 10}); }), none));
  clip.frames = {};
  clip.time = TimeRange{0, 0.2};
  const std::string error = data_error([&] { decode_clip(clip, spec); });
  CHECK_MESSAGE(contains(error, none), error);
  // The command that it gives, at 25 frames a second.
  const std::size_t command = error.find("ls -v ");
  REQUIRE(command != std::string::npos);
  output_of(error.substr(command) + " 2>&1");
  clip.path = folder.path / "clip.mp4";
  CHECK(decode_clip(clip, spec).count == 5);
}

TEST_CASE("a folder that is no one row of pictures is an error that names what is wrong") {
  const TemporaryFolder folder;
  const auto fresh = [&](const std::string& pattern) {
    fs::remove_all(folder.path / "c");
    return make_pictures(folder.path / "c", pattern, 12);
  };
  const fs::path c = fresh("a%d.png");
  fs::remove(c / "a7.png");
  CHECK(contains(error_of(c), "the picture after a6.png is missing"));
  fresh("a%d.png");
  rename(c, "a3.png", "b3.png");
  CHECK(contains(error_of(c), "differ by more than their numbers"));
  rename(c, "b3.png", "a03.png");
  CHECK(frames_of(c).size() == 12 * 64 * 48 * 3);
  fs::copy_file(c / "a03.png", c / "a3.png");
  CHECK(contains(error_of(c), "a03.png and a3.png have the same number"));
  fresh("a%d.png");
  make_pictures(c, "a%d.jpg", 2);
  CHECK(contains(error_of(c), "pictures of two kinds: a1.jpg and a1.png"));
  fresh("a%d.png");
  make_video(c / "a5.png", test_source(32, 48, 1));
  CHECK(contains(error_of(c), "changes its size at frame 4 (a5.png), from 64x48 to 32x48"));
  write_text(c / "a5.png", "");
  CHECK(contains(error_of(c), "a5.png: is empty"));
  fresh("a%d.tif");
  CHECK(contains(error_of(c), "pictures of kind .tif are not read: convert them first: ls -v "));
  fs::remove_all(c);
  fs::create_directory(c);
  CHECK(contains(error_of(c), "is a folder without pictures"));
  // Numbers that do not count frames: times.
  fresh("a%d.png");
  for (int i = 1; i <= 12; ++i)
    rename(c, fmt::format("a{}.png", i), fmt::format("a{}.png", 1000 + i * i * 33));
  CHECK(frames_of(c).size() == 12 * 64 * 48 * 3);
}

TEST_CASE("a truncated picture is none") {
  const TemporaryFolder folder;
  for (const std::string ending : {"jpg", "png", "bmp"}) {
    const fs::path c = make_pictures(folder.path / ending, "%d." + ending, 3);
    const std::string bytes = output_of("cat '" + (c / ("2." + ending)).string() + "'");
    for (std::size_t length = 1; length < bytes.size(); length += 1 + bytes.size() / 23) {
      CAPTURE(ending);
      CAPTURE(length);
      write_text(c / ("2." + ending), bytes.substr(0, length));
      CHECK_MESSAGE(contains(error_of(c), "2." + ending), error_of(c));
    }
  }
}

TEST_CASE("a picture that changes, and one more, change the folder's state and hash") {
  const TemporaryFolder folder;
  const fs::path c = make_pictures(folder.path / "c", "%d.png", 3);
  const FileState state = file_state(c);
  const std::string hash = file_hash(c);
  CHECK(state.bytes > 0);
  CHECK(hash.size() == 32);
  CHECK(file_state(c) == state);
  CHECK(file_hash(c) == hash);
  write_text(c / "notes.txt", "no picture");
  CHECK(file_hash(c) == hash);
  fs::copy_file(c / "1.png", c / "4.png");
  CHECK(file_state(c).bytes > state.bytes);
  CHECK(file_hash(c) != hash);
  fs::remove(c / "4.png");
  std::string bytes = output_of("cat '" + (c / "2.png").string() + "'");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_text(c / "2.png", bytes);
  CHECK(file_hash(c) != hash);
  CHECK(file_state(folder.path).bytes == -1);  // no pictures
}

}  // namespace mg
