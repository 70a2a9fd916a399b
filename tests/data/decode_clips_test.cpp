#include <cstring>

#include "data/frame_resize.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

constexpr DecodeSpec kSpec{24, 32, ResizeFilter::area, 0};

Clip with_frames(Clip clip, std::int64_t first, std::int64_t last) {
  clip.frames = FrameRange{first, last};
  return clip;
}
Clip with_time(Clip clip, double start, double end) {
  clip.time = TimeRange{start, end};
  return clip;
}

// Frames `numbers` of all, one after the other.
std::vector<std::uint8_t> pick(const Frames& all, const std::vector<std::int64_t>& numbers) {
  return select_frames(all, numbers).rgb;
}

std::vector<std::int64_t> from_to(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = first; i <= last; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace

TEST_CASE("decode: all frames, resized") {
  const TemporaryFolder folder;
  const Clip clip =
      clip_of(make_video(folder.path / "a.mp4", test_source(64, 48, 30) + " -c:v libx264 -bf 2"));
  const Frames frames = decode_clip(clip, kSpec);
  CHECK(frames.count == 30);
  CHECK(frames.height == 24);
  CHECK(frames.width == 32);
  CHECK(frames.fps == doctest::Approx(25));
  const std::string rgb = ffmpeg_rgb(clip.path);
  FrameResizer resizer(48, 64, 24, 32, ResizeFilter::area);
  std::vector<std::uint8_t> expected(24 * 32 * 3);
  for (std::int64_t t = 0; t < 30; ++t) {
    CAPTURE(t);
    const auto* source = reinterpret_cast<const std::uint8_t*>(rgb.data()) + t * 64 * 48 * 3;
    resizer.resize(RgbWindow{source, 48, 64, std::int64_t{64 * 3}}, expected.data());
    CHECK(std::memcmp(frames.frame(t), expected.data(), expected.size()) == 0);
  }
}

TEST_CASE("decode: ranges by frame and by time are parts of the whole, in one pass or in many") {
  const TemporaryFolder folder;
  // The transport stream starts at another time than 0, Matroska rounds to milliseconds.
  for (const std::string name : {"a.mp4", "a.mkv", "a.ts"}) {
    const Clip whole =
        clip_of(make_video(folder.path / name, test_source(64, 48, 30) + " -c:v libx264 -bf 2 -g 9"));
    const Frames all = decode_clip(whole, kSpec);
    REQUIRE(all.count == 30);
    const std::vector<std::pair<Clip, std::vector<std::int64_t>>> cases{
        {with_frames(whole, 0, 0), {0}},
        {with_frames(whole, 3, 7), from_to(3, 7)},
        {whole, from_to(0, 29)},
        {with_frames(whole, 5, 29), from_to(5, 29)},
        {with_time(whole, 0, 0.04), {0}},
        {with_time(whole, 0.2, 0.4), from_to(5, 9)},
        {with_time(whole, 0.21, 0.401), from_to(6, 10)},
        {with_time(whole, 1, 1.2), from_to(25, 29)}};
    std::vector<Clip> clips;
    for (const auto& [clip, numbers] : cases) clips.push_back(clip);
    const auto together = decode_clips(clips, kSpec);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      CAPTURE(name);
      CAPTURE(range_text(clips[i]));
      CHECK(together[i].fault == "");
      CHECK(contains(together[i].decoder, "h264 yuv420p, libavcodec "));
      CHECK((together[i].frames.rgb == pick(all, cases[i].second)));
      CHECK((decode_clip(clips[i], kSpec).rgb == together[i].frames.rgb));
    }
  }
}

TEST_CASE("decode: a range outside the video is a fault that loses no other clip") {
  const TemporaryFolder folder;
  const Clip whole = clip_of(make_video(folder.path / "a.mp4", test_source(64, 48, 10) + " -c:v libx264"));
  const auto decoded =
      decode_clips({with_frames(whole, 5, 10), with_frames(whole, 2, 3), with_time(whole, 0.2, 1),
                    with_time(whole, 0.201, 0.209), with_frames(whole, 90, 99)},
                   kSpec);
  const std::string name = whole.path.string();
  CHECK(decoded[0].fault == name + ": the clip is frames 5-10, but the video has 10 frames (0.400 s)");
  CHECK(decoded[1].fault == "");
  CHECK(decoded[1].frames.count == 2);
  CHECK(decoded[2].fault == name + ": the clip is seconds 0.2-1, but the video has 10 frames (0.400 s)");
  CHECK(decoded[3].fault == name + ": the clip (seconds 0.201-0.209) holds no frame");
  CHECK(contains(decoded[4].fault, "but the video has 10 frames"));
  CHECK(data_error([&] { decode_clip(with_frames(whole, 5, 10), kSpec); }) == decoded[0].fault);
}

TEST_CASE("decode: a truncated file loses the clips that reach beyond what is there, and only those") {
  const TemporaryFolder folder;
  const fs::path good = make_video(folder.path / "a.mp4",
                                   test_source(64, 48, 50) + " -c:v libx264 -g 5 -bf 0 -movflags +faststart");
  const std::string bytes = output_of("cat '" + good.string() + "'");
  write_text(folder.path / "cut.mp4", bytes.substr(0, bytes.size() * 3 / 4));
  const Clip cut = clip_of(folder.path / "cut.mp4");
  const auto decoded = decode_clips({with_frames(cut, 0, 9), cut, with_frames(cut, 40, 49)}, kSpec);
  CHECK(decoded[0].fault == "");
  CHECK(decoded[0].frames.count == 10);
  CHECK(contains(decoded[1].fault, "truncated"));
  CHECK(contains(decoded[2].fault, "truncated"));
  CHECK(decoded[2].frames.rgb.empty());
}

TEST_CASE("decode: another frame rate shows the frame of each time") {
  const TemporaryFolder folder;
  for (const std::string name : {"a.mp4", "a.mkv"}) {
    CAPTURE(name);
    const Clip whole =
        clip_of(make_video(folder.path / name, test_source(64, 48, 30, "30") + " -c:v libx264 -bf 2"));
    const Frames all = decode_clip(whole, kSpec);
    auto at = [&](const Clip& clip, double fps) {
      return decode_clip(clip, {24, 32, ResizeFilter::area, fps});
    };
    // 10 and 15 a second: every third and second frame. 20: 0, 1.5, 3, 4.5. 60: each twice.
    CHECK((at(whole, 10).rgb == pick(all, {0, 3, 6, 9, 12, 15, 18, 21, 24, 27})));
    CHECK((at(whole, 15).rgb == pick(all, {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28})));
    CHECK((at(with_frames(whole, 3, 9), 20).rgb == pick(all, {3, 4, 6, 7, 9})));
    CHECK((at(with_frames(whole, 3, 4), 60).rgb == pick(all, {3, 3, 4, 4})));
    CHECK((at(with_time(whole, 0.5, 0.6), 10).rgb == pick(all, {15})));
    CHECK((at(with_frames(whole, 7, 7), 1).rgb == pick(all, {7})));
    CHECK(at(whole, 10).fps == 10);
  }
}

TEST_CASE("decode: missing frames of a variable rate are filled by the one before") {
  const TemporaryFolder folder;
  const Clip whole = clip_of(make_video(
      folder.path / "vfr.mp4",
      test_source(64, 48, 12) + " -vf \"select='not(eq(mod(n,3),1))'\" -fps_mode vfr -c:v libx264"));
  const Frames all = decode_clip(whole, kSpec);
  REQUIRE(all.count == 12);  // times 0, 2, 3, 5, 6, 8 ... 17 of 25 a second
  const Frames filled = decode_clip(whole, {24, 32, ResizeFilter::area, 25});
  // The last frame lasts as long as the mean one: 1.5 of 25 a second.
  CHECK((filled.rgb == pick(all, {0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11, 11})));
}

TEST_CASE("decode: a specification has one text") {
  CHECK(to_string(DecodeSpec{}) == "128x171 bilinear every frame");
  CHECK(to_string(DecodeSpec{76, 76, ResizeFilter::area, 12.5}) == "76x76 area 12.5 fps");
}

}  // namespace mg
