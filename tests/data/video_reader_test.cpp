#include "data/video_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "kernels/philox.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

struct VideoCase {
  std::string file, arguments;
  int width, height;
  int frames;  // -1: whatever ffmpeg says
};

std::vector<VideoCase> video_cases() {
  const std::string x264 = " -c:v libx264 -preset veryfast -threads 1 -pix_fmt ";
  return {
      {"b_frames.mp4", test_source(64, 48, 40) + x264 + "yuv420p -bf 3 -g 12 -x264-params scenecut=0", 64, 48,
       40},
      {"odd_444.mp4", test_source(80, 60, 12) + " -vf scale=67:45" + x264 + "yuv444p -qp 10", 67, 45, 12},
      {"odd_height.mkv", test_source(80, 60, 12) + " -vf scale=61:47 -c:v mpeg4 -q:v 3", 61, 47, 12},
      {"odd_420.avi", test_source(80, 60, 8) + " -vf scale=35:51 -c:v ffv1 -pix_fmt yuv420p", 35, 51, 8},
      {"yuv422.mp4", test_source(70, 50, 8) + x264 + "yuv422p", 70, 50, 8},
      {"ten_bits.mp4", test_source(64, 48, 8) + x264 + "yuv420p10le", 64, 48, 8},
      {"grey.mp4", test_source(64, 48, 8) + x264 + "gray", 64, 48, 8},
      {"full_range.mp4",
       test_source(64, 48, 8) + " -vf scale=out_range=full" + x264 + "yuv420p -color_range pc", 64, 48, 8},
      {"bt709.mp4", test_source(64, 48, 8) + x264 + "yuv420p -colorspace bt709 -color_range tv", 64, 48, 8},
      {"hevc.mp4", test_source(64, 64, 16) + " -c:v libx265 -preset ultrafast -x265-params log-level=none",
       64, 64, 16},
      {"vp9.webm", test_source(64, 48, 10) + " -c:v libvpx-vp9 -deadline realtime -cpu-used 8", 64, 48, 10},
      {"vp8.webm", test_source(64, 48, 10) + " -c:v libvpx -deadline realtime", 64, 48, 10},
      {"mjpeg.avi", test_source(64, 48, 10) + " -c:v mjpeg -q:v 3", 64, 48, 10},
      {"transport.ts", test_source(64, 48, 30) + x264 + "yuv420p -bf 2 -g 10", 64, 48, 30},
      // Every third frame is missing, so the distances between frames vary.
      {"vfr.mp4",
       test_source(64, 48, 30) + " -vf \"select='mod(n,3)'\" -fps_mode vfr" + x264 + "yuv420p -bf 2", 64, 48,
       -1},
      {"one_frame.mp4", test_source(64, 48, 1) + x264 + "yuv420p", 64, 48, 1},
      {"with_sound.mp4",
       "-f lavfi -i sine=duration=1 " + test_source(64, 48, 25) + x264 + "yuv420p -c:a aac -shortest", 64, 48,
       25},
  };
}

}  // namespace

TEST_CASE("the frames are those of the ffmpeg program, bit for bit") {
  const TemporaryFolder folder;
  for (const VideoCase& c : video_cases()) {
    CAPTURE(c.file);
    const fs::path file = make_video(folder.path / c.file, c.arguments);
    const std::string expected = ffmpeg_rgb(file);
    VideoReader reader(file);
    CHECK(reader.info().width == c.width);
    CHECK(reader.info().height == c.height);
    const std::string got = reader_rgb(reader);
    const std::size_t frame_bytes =
        static_cast<std::size_t>(c.width) * static_cast<std::size_t>(c.height) * 3;
    if (c.frames >= 0) CHECK(got.size() == static_cast<std::size_t>(c.frames) * frame_bytes);
    CHECK(got.size() == expected.size());
    CHECK((got == expected));
  }
}

TEST_CASE("scaled frames are those of ffmpeg's scale filter, bit for bit") {
  const TemporaryFolder folder;
  // Smaller, larger, odd, and of one side only; 224x224 is the authors'.
  const std::vector<PictureSize> sizes{{224, 224}, {36, 36}, {31, 97}, {48, 171}};
  for (const VideoCase& c : video_cases()) {
    const fs::path file = make_video(folder.path / c.file, c.arguments);
    for (const PictureSize size : sizes) {
      CAPTURE(c.file);
      CAPTURE(size.height);
      VideoReader reader(file);
      const std::string got = reader_rgb(reader, size), expected = ffmpeg_rgb(file, size);
      CHECK(got.size() > 0);
      CHECK(got.size() == expected.size());
      CHECK((got == expected));
    }
  }
}

TEST_CASE("a clip in ffmpeg's size is what its scale filter gives") {
  const TemporaryFolder folder;
  const fs::path file = make_video(folder.path / "a.mp4", test_source(160, 120, 12) + " -c:v libx264");
  const Frames frames = decode_clip(clip_of(file), {64, 48, ResizeFilter::ffmpeg});
  CHECK(frames.count == 12);
  const std::string got(frames.rgb.begin(), frames.rgb.end());
  CHECK((got == ffmpeg_rgb(file, {64, 48})));
  CHECK(to_string(DecodeSpec{64, 48, ResizeFilter::ffmpeg}) == "64x48 ffmpeg every frame");
}

TEST_CASE("a stream copied from between key frames starts where ffmpeg starts it") {
  const TemporaryFolder folder;
  const fs::path whole = make_video(folder.path / "whole.mp4",
                                    test_source(64, 48, 60) + " -c:v libx264 -preset veryfast -bf 2 -g 20");
  // An edit list hides the frames before 1.1 s.
  const fs::path edited = make_video(
      folder.path / "edited.mp4", "-ss 1.1 -i '" + whole.string() + "' -c copy -avoid_negative_ts disabled");
  // The cut leaves frames that refer to ones that are gone.
  const fs::path open_ended =
      make_video(folder.path / "open.ts",
                 test_source(64, 48, 60) +
                     " -c:v libx264 -preset veryfast -bf 3 -g 15 -flags -cgop -x264-params open-gop=1");
  for (const fs::path& file : {edited, open_ended}) {
    CAPTURE(file.string());
    const std::string expected = ffmpeg_rgb(file);
    VideoReader reader(file);
    const std::string got = reader_rgb(reader);
    CHECK(got.size() > 0);
    CHECK(got.size() == expected.size());
    CHECK((got == expected));
  }
}

TEST_CASE("rotation and mirroring by metadata are applied") {
  const TemporaryFolder folder;
  // Every other pixel of odd planes is in the middle of a chroma sample.
  const std::vector<std::string> sources{test_source(64, 48, 3) + " -c:v libx264 -pix_fmt yuv420p",
                                         test_source(64, 48, 3) + " -c:v libx264 -pix_fmt yuv444p",
                                         test_source(80, 60, 3) + " -vf scale=61:47 -c:v mpeg4 -q:v 3",
                                         test_source(64, 48, 3) + " -c:v libx264 -pix_fmt yuv422p"};
  struct Turn {
    std::array<int, 4> matrix;  // a b c d of the track header
    int rotation;
  };
  const std::vector<Turn> turns{{{0, 1, -1, 0}, 90},  {{-1, 0, 0, -1}, 180}, {{0, -1, 1, 0}, 270},
                                {{-1, 0, 0, 1}, 0},   {{1, 0, 0, -1}, 0},    {{0, 1, 1, 0}, 90},
                                {{0, -1, -1, 0}, 270}};
  for (const std::string& source : sources) {
    const fs::path flat = make_video(folder.path / "flat.mp4", source);
    std::string bytes = output_of("cat '" + flat.string() + "'");
    const std::size_t matrix_at = bytes.find("tkhd") + 44;
    for (const Turn& turn : turns) {
      CAPTURE(source);
      CAPTURE(turn.matrix[0]);
      CAPTURE(turn.matrix[1]);
      CAPTURE(turn.matrix[2]);
      for (std::size_t k = 0; k < 4; ++k) {
        // 16.16 fixed-point numbers at places 0, 1, 3 and 4 of the matrix.
        const std::size_t at = matrix_at + 4 * (k < 2 ? k : k + 1);
        bytes.replace(at, 4,
                      turn.matrix[k] == 0 ? std::string(4, '\0')
                                          : std::string(turn.matrix[k] > 0 ? "\0\1\0\0" : "\xff\xff\0\0", 4));
      }
      write_text(folder.path / "turned.mp4", bytes);
      for (const PictureSize size : {PictureSize{40, 56}, PictureSize{224, 224}}) {
        if (contains(source, "yuv422p") && turn.rotation % 180 != 0) continue;  // as video_reader.h says
        CAPTURE(size.height);
        VideoReader scaled(folder.path / "turned.mp4");
        CHECK((reader_rgb(scaled, size) == ffmpeg_rgb(folder.path / "turned.mp4", size)));
      }
      const std::string expected = ffmpeg_rgb(folder.path / "turned.mp4");
      VideoReader reader(folder.path / "turned.mp4");
      CHECK(reader.info().rotation == turn.rotation);
      CHECK((reader.info().width > reader.info().height) == (turn.rotation % 180 == 0));
      const std::string got = reader_rgb(reader);
      CHECK(got.size() == expected.size());
      CHECK((got == expected));
      CHECK((got != ffmpeg_rgb(flat)));
    }
  }
}

TEST_CASE("times and rates come from the file") {
  const TemporaryFolder folder;
  const fs::path file =
      make_video(folder.path / "vfr.mp4",
                 test_source(64, 48, 12) + " -vf \"select='mod(n,3)'\" -fps_mode vfr -c:v libx264 -bf 2");
  VideoReader reader(file);
  CHECK(reader.info().codec == "h264");
  CHECK(reader.info().pixel_format == "yuv420p");
  VideoReader::Picture picture;
  // Frames 1, 2, 4, 5, 7 ... of 25 a second.
  for (const double expected : {0.0, 0.04, 0.12, 0.16, 0.24, 0.28}) {
    REQUIRE(reader.advance(picture));
    CHECK(picture.rgb == nullptr);
    CHECK(picture.seconds == doctest::Approx(expected).epsilon(1e-6));
  }
}

TEST_CASE("what is no whole video is one clear error with the file's name") {
  const TemporaryFolder folder;
  const fs::path good = make_video(folder.path / "good.mp4",
                                   test_source(64, 48, 50) + " -c:v libx264 -bf 2 -movflags +faststart");
  const std::string bytes = output_of("cat '" + good.string() + "'");
  write_text(folder.path / "text.mp4", "clip,label\nthis is no video, whatever its name says\n");
  write_text(folder.path / "empty.mp4", "");
  write_text(folder.path / "zeros.mp4", std::string(100000, '\0'));
  write_text(folder.path / "cut.mp4", bytes.substr(0, bytes.size() * 2 / 3));
  write_text(folder.path / "head.mp4", bytes.substr(0, 300));
  make_video(folder.path / "sound.mp4", "-f lavfi -i sine=duration=1 -c:a aac");
  make_video(folder.path / "snow.mkv", test_source(64, 48, 5) + " -strict -2 -c:v snow");
  REQUIRE(::mkfifo((folder.path / "pipe.mp4").c_str(), 0600) == 0);
  fs::create_directory(folder.path / "folder.mp4");
  const std::vector<std::pair<std::string, std::string>> faults{
      {"missing.mp4", "there is no such file"}, {"folder.mp4", "is a folder without pictures"},
      {"empty.mp4", "is empty (0 bytes)"},      {"zeros.mp4", "cannot be opened as a video"},
      {"text.mp4", "cannot be opened"},         {"sound.mp4", "holds no video stream"},
      {"pipe.mp4", "is no regular file"},       {"cut.mp4", "truncated"},
      {"head.mp4", "holds no video stream"},    {"snow.mkv", "codec snow"}};
  for (const auto& [name, message] : faults) {
    CAPTURE(name);
    const std::string error = data_error([&, file = folder.path / name] {
      VideoReader reader(file);
      reader_rgb(reader);
    });
    CHECK(error.rfind((folder.path / name).string() + ": ", 0) == 0);
    CHECK_MESSAGE(contains(error, message), error);
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("a truncated file is never a shorter video, wherever it was cut") {
  const TemporaryFolder folder;
  for (const std::string name : {"x.mp4", "x.mkv", "x.avi"}) {
    const std::string more = name == "x.mp4" ? " -movflags +faststart" : "";
    const fs::path good = make_video(
        folder.path / name, test_source(64, 48, 12) + " -c:v libx264 -preset veryfast -bf 2 -g 4" + more);
    const std::string bytes = output_of("cat '" + good.string() + "'");
    const fs::path cut = folder.path / ("cut_" + name);
    for (std::size_t length = 1; length < bytes.size(); length += 1 + bytes.size() / 97) {
      CAPTURE(name);
      CAPTURE(length);
      write_text(cut, bytes.substr(0, length));
      const std::string error = data_error([&] {
        VideoReader reader(cut);
        reader_rgb(reader);
      });
      CHECK_MESSAGE(contains(error, cut.string()), error);
    }
  }
}

TEST_CASE("damaged bytes end in an error or in a video, always the same, and never in a hang") {
  const TemporaryFolder folder;
  const fs::path good =
      make_video(folder.path / "good.mp4", test_source(64, 48, 25) + " -c:v libx264 -bf 2 -g 8");
  const std::string bytes = output_of("cat '" + good.string() + "'");
  const fs::path damaged = folder.path / "damaged.mp4";
  int errors = 0;
  for (std::uint32_t trial = 0; trial < 60; ++trial) {
    std::string changed = bytes;
    for (std::uint32_t k = 0; k < 1 + trial % 8; ++k) {
      const Philox4 r = RandomKey{1}.draw(trial, k);
      changed[r.v[0] % changed.size()] = static_cast<char>(r.v[1]);
    }
    write_text(damaged, changed);
    auto outcome = [&] {
      try {
        VideoReader reader(damaged);
        return reader_rgb(reader);
      } catch (const Error& e) {
        CHECK(e.code() == ExitCode::data);
        return std::string(e.what());
      }
    };
    const std::string first = outcome();
    CHECK((first == outcome()));
    errors += contains(first, "damaged.mp4: ") ? 1 : 0;
  }
  CHECK(errors > 0);
}

TEST_CASE("names that look like addresses are files") {
  const TemporaryFolder folder;
  const fs::path good = make_video(folder.path / "good.mp4", test_source(64, 48, 5) + " -c:v libx264");
  const fs::path before = fs::current_path();
  fs::current_path(folder.path);
  fs::create_directories("http:/x");
  for (const std::string name : {"http://x/a.mp4", "concat:good.mp4", "pipe:0", "-i", "data:video"}) {
    CAPTURE(name);
    fs::copy_file(good, name, fs::copy_options::overwrite_existing);
    VideoReader reader{fs::path(name)};
    CHECK(reader_rgb(reader).size() == 5 * 64 * 48 * 3);
  }
  CHECK(contains(data_error([] { VideoReader reader("tcp://127.0.0.1:1"); }), "there is no such file"));
  CHECK(contains(data_error([&] { VideoReader reader(std::string("good.mp4\0.txt", 13)); }), "NUL"));
  fs::current_path(before);
}

}  // namespace mg
