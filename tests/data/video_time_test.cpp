// What the seconds of a clip are: the file's presentation time, as ffmpeg and players have it.
#include <sstream>
#include <vector>

#include "data/packet_times.h"
#include "data/ts_joint.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

constexpr DecodeSpec kSpec{24, 32, ResizeFilter::area, 0};

// The times that ffmpeg shows of a file's frames, with all its streams in use.
std::vector<double> ffmpeg_times(const fs::path& file) {
  std::istringstream lines(
      output_of("ffmpeg -nostdin -i '" + file.string() +
                "' -filter_complex '[0:v]showinfo' -map '0:a?' -fps_mode passthrough -f null - "
                "2>&1 | grep -o ' pts_time:[^ ]*' | cut -d: -f2"));
  std::vector<double> times;
  for (double time = 0; lines >> time;) times.push_back(time);
  return times;
}

std::vector<double> reader_times(const fs::path& file) {
  VideoReader reader(file);
  VideoReader::Picture picture;
  std::vector<double> times;
  while (reader.advance(picture)) times.push_back(picture.seconds);
  return times;
}

void check_times(const fs::path& file) {
  CAPTURE(file.filename().string());
  const std::vector<double> expected = ffmpeg_times(file), got = reader_times(file);
  REQUIRE(expected.size() > 0);
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(got[i] - expected[i]) < 2e-6 + 1e-6 * expected[i]);
  }
}

Clip with_time(const fs::path& file, double start, double end) {
  Clip clip = clip_of(file);
  clip.time = TimeRange{start, end};
  return clip;
}

// base, and the same with its picture or its sound half a second late, without sound, in a format.
std::vector<fs::path> shifted_files(const fs::path& folder, const std::string& ending) {
  const fs::path base =
      make_video(folder / ("base." + ending),
                 "-f lavfi -i sine=duration=2.2 -f lavfi -i testsrc2=size=64x48:rate=25:duration=2 "
                 "-c:v libx264 -preset veryfast -bf 2 -g 12 -c:a aac");
  const std::string twice = " -i '" + base.string() + "' -i '" + base.string() + "'";
  return {
      base,
      make_video(folder / ("video_late." + ending), "-itsoffset 0.5" + twice + " -map 0:v -map 1:a -c copy"),
      make_video(folder / ("sound_late." + ending), "-itsoffset 0.5" + twice + " -map 1:v -map 0:a -c copy"),
      make_video(folder / ("silent_late." + ending),
                 "-itsoffset 0.5 -i '" + base.string() + "' -an -c copy")};
}

}  // namespace

TEST_CASE("seconds are those of ffmpeg, whichever stream begins first, in MP4, MKV and TS") {
  const TemporaryFolder folder;
  for (const std::string ending : {"mp4", "mkv", "ts"}) {
    const std::vector<fs::path> files = shifted_files(folder.path, ending);
    for (const fs::path& file : files) check_times(file);
    // Half a second late to the sound, to the rounding of sounds to whole frames of theirs.
    CHECK(reader_times(files[1]).front() - reader_times(files[0]).front() ==
          doctest::Approx(0.5).epsilon(0.09));
    CHECK(std::abs(reader_times(files[3]).front()) < 1e-6);
  }
  for (const std::string name : {"x.mpg", "x.flv", "x.wmv", "x.ogv", "x.mov"}) {
    check_times(make_video(folder.path / name, "-f lavfi -i sine=duration=0.5 " + test_source(64, 48, 12)));
  }
}

TEST_CASE("a clip by seconds is the frames that ffmpeg selects by their times") {
  const TemporaryFolder folder;
  for (const std::string ending : {"mp4", "mkv", "ts"}) {
    for (const fs::path& file : shifted_files(folder.path, ending)) {
      for (const auto& [start, end] : {std::pair{0.71, 1.11}, std::pair{0.31, 0.83}, std::pair{1.33, 1.91}}) {
        CAPTURE(file.filename().string());
        CAPTURE(start);
        const std::string expected = output_of(
            fmt::format("ffmpeg -nostdin -v error -i '{}' -filter_complex "
                        "\"[0:v]select='between(t,{},{})',scale=32:24[v]\" -map '[v]' "
                        "-fps_mode passthrough -pix_fmt rgb24 -f rawvideo - -map '0:a?' -f null /dev/null",
                        file.string(), start, end));
        const Frames got = decode_clip(with_time(file, start, end), {24, 32, ResizeFilter::ffmpeg, 0});
        CHECK(got.count >= 8);
        CHECK((std::string(got.rgb.begin(), got.rgb.end()) == expected));
      }
    }
  }
}

TEST_CASE("ffmpeg's -ss is the start of a clip") {
  const TemporaryFolder folder;
  for (const fs::path& file : shifted_files(folder.path, "mp4")) {
    CAPTURE(file.filename().string());
    const std::string expected =
        output_of("ffmpeg -nostdin -v error -ss 0.71 -i '" + file.string() +
                  "' -an -fps_mode passthrough -vf scale=32:24 -pix_fmt rgb24 -f rawvideo -");
    const double end = reader_times(file).back() + 0.04;
    const Frames got = decode_clip(with_time(file, 0.71, end), {24, 32, ResizeFilter::ffmpeg, 0});
    CHECK((std::string(got.rgb.begin(), got.rgb.end()) == expected));
  }
}

TEST_CASE("a clip that begins before the video has the frames there are, or says when the video begins") {
  const TemporaryFolder folder;
  const fs::path file = shifted_files(folder.path, "mp4")[1];
  const Frames all = decode_clip(clip_of(file), kSpec);
  CHECK((decode_clip(with_time(file, 0, 0.7), kSpec).rgb == select_frames(all, {0, 1, 2, 3, 4}).rgb));
  CHECK((decode_clip(with_time(file, 0.5, 0.58), kSpec).rgb == select_frames(all, {0, 1}).rgb));
  CHECK(data_error([&] { decode_clip(with_time(file, 0, 0.5), kSpec); }) ==
        file.string() + ": the clip (seconds 0-0.5) holds no frame: the video begins at 0.500 s");
  // Frames of another rate are counted from the clip's first one.
  CHECK((decode_clip(with_time(file, 0, 0.9), {24, 32, ResizeFilter::area, 12.5}).rgb ==
         select_frames(all, {0, 2, 4, 6, 8}).rgb));
  CHECK(data_error([&] { decode_clip(with_time(file, 1, 9), kSpec); }) ==
        file.string() + ": the clip is seconds 1-9, but the video has 50 frames (0.500 to 2.500 s)");
  // The sound of the file goes on for longer than its picture.
  const fs::path base = folder.path / "base.mp4";
  CHECK(decode_clip(with_time(base, 1.9, 2.2), kSpec).count == 2);
  CHECK(contains(data_error([&] { decode_clip(with_time(base, 1.9, 2.4), kSpec); }),
                 "has 50 frames (2.000 s)"));
}

TEST_CASE("AVI has no times of presentation: frames follow each other from the first packet on") {
  const TemporaryFolder folder;
  for (const std::string codec : {"libx264 -bf 2", "mpeg4 -bf 2", "mpeg4", "mjpeg"}) {
    CAPTURE(codec);
    const fs::path file = make_video(folder.path / "a.avi", test_source(64, 48, 20) + " -c:v " + codec);
    const std::vector<double> times = reader_times(file);
    REQUIRE(times.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) CHECK(times[i] == doctest::Approx(0.04 * static_cast<double>(i)));
  }
}

TEST_CASE("a raw stream has the times of its own rate") {
  const TemporaryFolder folder;
  for (const std::string name : {"a.h264", "a.hevc", "a.m2v"}) {
    const std::string codec = name == "a.hevc" ? " -c:v libx265 -x265-params log-level=none" : "";
    const fs::path file = make_video(folder.path / name, test_source(64, 64, 12, "30") + codec);
    const std::vector<double> times = reader_times(file);
    REQUIRE(times.size() == 12);
    CHECK(times[0] == 0);
    CHECK(times[11] == doctest::Approx(11.0 / 30).epsilon(1e-4));
  }
}

TEST_CASE("streams that were joined end to end are one") {
  const TemporaryFolder folder;
  const std::string x264 = " -c:v libx264 -preset veryfast -bf 2 -g 12";
  for (const std::string ending : {"ts", "mpg"}) {
    for (const bool sound : {false, true}) {
      const std::string codec = ending == "ts" ? x264 : " -c:v mpeg2video -bf 2";
      const std::string arguments =
          (sound ? "-f lavfi -i sine=duration=1.1 " : "") + test_source(64, 48, 30) + codec;
      const std::string a = make_video(folder.path / ("a." + ending), arguments).string();
      const std::string b =
          make_video(folder.path / ("b." + ending), arguments + " -vf negate -output_ts_offset 3").string();
      const fs::path joined = folder.path / ("joined." + ending);
      for (const std::string& files : {a + " " + b, b + " " + a, a + " " + a + " " + b}) {
        CAPTURE(files);
        output_of("cat " + files + " > " + joined.string());
        VideoReader reader(joined);
        const std::string got = reader_rgb(reader), expected = ffmpeg_rgb(joined);
        CHECK(got.size() == expected.size());
        CHECK((got == expected));
        const std::vector<double> times = reader_times(joined);
        for (std::size_t i = 1; i < times.size(); ++i) CHECK(times[i] > times[i - 1] + 0.03);
      }
    }
  }
}

TEST_CASE("segments of one stream, joined again, are that stream") {
  const TemporaryFolder folder;
  const fs::path whole =
      make_video(folder.path / "whole.ts", "-f lavfi -i sine=duration=2 " + test_source(64, 48, 50) +
                                               " -c:v libx264 -preset veryfast -bf 2 -g 10");
  output_of(fmt::format(
      "cd '{}' && ffmpeg -nostdin -v error -i whole.ts -c copy -f segment -segment_time 0.7 part%d.ts",
      folder.path.string()));
  const fs::path joined = folder.path / "joined.ts";
  output_of(fmt::format("cd '{}' && cat part0.ts part1.ts part2.ts > joined.ts", folder.path.string()));
  VideoReader reader(joined);
  CHECK((reader_rgb(reader) == ffmpeg_rgb(whole)));
  check_times(joined);
}

TEST_CASE("a transport stream that lost packets is no joined one") {
  const TemporaryFolder folder;
  const std::string bytes = output_of(
      "cat '" +
      make_video(folder.path / "a.ts", test_source(64, 48, 50) + " -c:v libx264 -preset veryfast -bf 2 -g 10")
          .string() +
      "'");
  const fs::path lost = folder.path / "lost.ts";
  int missed = 0, cut = 0;
  for (std::size_t at = 20 * 188; at + 8 * 188 < bytes.size(); at += 7 * 188, ++cut) {
    std::string changed = bytes;
    write_text(lost, changed.erase(at, 3 * 188));
    const std::string error = data_error([&] {
      VideoReader reader(lost);
      reader_rgb(reader);
    });
    missed += contains(error, "lost.ts: is damaged") ? 0 : 1;
  }
  CHECK(cut > 12);
  CHECK(missed == 0);
}

TEST_CASE("a clock that runs over goes on") {
  const TemporaryFolder folder;
  const fs::path file = make_video(folder.path / "wrap.ts",
                                   "-f lavfi -i sine=duration=2 " + test_source(64, 48, 50) +
                                       " -c:v libx264 -preset veryfast -bf 2 -output_ts_offset 95441.5");
  check_times(file);
  CHECK(reader_times(file).back() == doctest::Approx(1.98).epsilon(0.02));
}

TEST_CASE("packet times: jumps are closed, gaps and disorder stay") {
  PacketTimes times(0.001, 0.04);
  const auto mended = [&](std::int64_t pts, std::int64_t dts) {
    times.mend(pts, dts, 0);
    return std::pair(pts, dts);
  };
  CHECK(mended(1080, 1000) == std::pair<std::int64_t, std::int64_t>(1080, 1000));
  CHECK(mended(1040, 1040) == std::pair<std::int64_t, std::int64_t>(1040, 1040));
  CHECK(mended(9000, 9000) == std::pair<std::int64_t, std::int64_t>(9000, 9000));  // a gap of 8 s
  CHECK(mended(80, 0) == std::pair<std::int64_t, std::int64_t>(9120, 9040));       // the next file
  CHECK(mended(40, kNoTime) == std::pair<std::int64_t, std::int64_t>(9080, kNoTime));
  CHECK(mended(90000, 90000) == std::pair<std::int64_t, std::int64_t>(9120, 9120));
  CHECK(mended(INT64_MAX, INT64_MAX - 1) == std::pair<std::int64_t, std::int64_t>(INT64_MAX, INT64_MAX - 1));
}

}  // namespace mg
