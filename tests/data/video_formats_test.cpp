// What containers and codecs are read, what is said of the others, and files that were written to a pipe.
#include <vector>

#include "data/container_size.h"
#include "data/video_formats.h"
#include "tests/data/fixtures.h"

namespace mg {

using namespace test;

namespace {

struct FormatCase {
  std::string file, codec;
};

// Of the first column's format, of 64x48 where the codec does not ask for another size.
std::vector<FormatCase> format_cases() {
  return {{"a.mpg", "-c:v mpeg1video"},
          {"sound.mpg", "-c:v mpeg2video -bf 2"},
          {"a.vob", "-c:v mpeg2video"},
          {"a.m2v", "-c:v mpeg2video"},
          {"wmv1.wmv", "-c:v wmv1"},
          {"wmv2.wmv", "-c:v wmv2"},
          {"a.flv", "-c:v flv"},
          {"h264.flv", "-c:v libx264 -bf 2"},
          {"a.ogv", "-c:v libtheora"},
          {"theora.mkv", "-c:v libtheora"},
          {"a.gif", "-vf fps=7"},
          {"clear.gif", "-vf format=rgba,colorchannelmixer=aa=0.4"},
          {"prores.mov", "-c:v prores_ks"},
          {"alpha.mov", "-vf format=yuva444p10le -c:v prores_ks -profile:v 4444"},
          {"dnxhr.mov", "-s 256x128 -c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p"},
          {"dnxhr.mxf", "-s 256x128 -c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p"},
          {"mpeg2.mxf", "-c:v mpeg2video"},
          {"a.dv", "-s 720x576 -c:v dvvideo -pix_fmt yuv420p"},
          {"dv.avi", "-s 720x576 -c:v dvvideo -pix_fmt yuv420p"},
          {"dv.mov", "-s 720x576 -c:v dvvideo -pix_fmt yuv420p"},
          {"huffyuv.avi", "-c:v huffyuv"},
          {"ffvhuff.avi", "-c:v ffvhuff"},
          {"utvideo.avi", "-c:v utvideo"},
          {"cinepak.avi", "-c:v cinepak"},
          {"video1.avi", "-c:v msvideo1"},
          {"magicyuv.avi", "-c:v magicyuv"},
          {"png.avi", "-c:v png"},
          {"png.mov", "-c:v png"},
          {"raw.avi", "-c:v rawvideo -pix_fmt bgr24"},
          {"raw.mov", "-c:v rawvideo -pix_fmt uyvy422"},
          {"rle.mov", "-c:v qtrle"},
          {"a.3gp", "-s 176x144 -c:v h263"},
          {"div3.avi", "-c:v msmpeg4"},
          {"packed.avi", "-c:v mpeg4 -bf 2"},
          {"a.h264", "-c:v libx264 -bf 2"},
          {"a.hevc", "-c:v libx265 -x265-params log-level=none"},
          {"a.m4v", "-c:v mpeg4"},
          {"interlaced.mpg", "-c:v mpeg2video -flags +ilme+ildct"}};
}

std::string error_of(const fs::path& file) {
  return data_error([&] {
    VideoReader reader(file);
    reader_rgb(reader);
  });
}

}  // namespace

TEST_CASE("the formats of older labs are read as ffmpeg reads them, bit for bit") {
  const TemporaryFolder folder;
  for (const FormatCase& c : format_cases()) {
    CAPTURE(c.file);
    const bool sound = contains(c.file, "sound") || contains(c.file, ".wmv") || contains(c.file, "h264.flv");
    const fs::path file = make_video(folder.path / c.file, (sound ? "-f lavfi -i sine=duration=0.5 " : "") +
                                                               test_source(64, 48, 6) + " " + c.codec);
    const std::string expected = ffmpeg_rgb(file);
    VideoReader reader(file);
    const std::string got = reader_rgb(reader);
    CHECK(got.size() > 0);
    CHECK(got.size() == expected.size());
    CHECK((got == expected));
  }
}

TEST_CASE("what is not read says what it is, and the command that it gives makes a video that is read") {
  const TemporaryFolder folder;
  const std::vector<std::vector<std::string>> cases{
      {"it's a clip.nut", "format nut is not read", "-c:v libx264"},
      {"snow.avi", "codec snow (format avi) is not read", "-strict -2 -c:v snow"},
      {"odd.nut", "format nut is not read", "-vf scale=61:47 -c:v mpeg4"},
      {"odd_size.mkv", "codec snow (format matroska,webm) is not read",
       "-vf scale=61:47 -strict -2 -c:v snow"},
      {"a.mp4", "codec jpeg2000", "-c:v jpeg2000"}};
  for (const auto& c : cases) {
    CAPTURE(c[0]);
    const fs::path file = folder.path / c[0];
    std::string quoted;
    for (const char k : file.string()) quoted += k == '\'' ? std::string("'\\''") : std::string(1, k);
    output_of("ffmpeg -nostdin -v error -y " + test_source(64, 48, 6) + " " + c[2] + " '" + quoted + "'");
    const std::string error = error_of(file);
    CHECK_MESSAGE(error.rfind(file.string() + ": " + c[1], 0) == 0, error);
    const std::size_t command = error.find("ffmpeg -i ");
    REQUIRE_MESSAGE(command != std::string::npos, error);
    CHECK(output_of("cd / && ffmpeg -nostdin -v error" + error.substr(command + 6) + " 2>&1") == "");
    const fs::path made = folder.path / (c[0] == "a.mp4" ? "a_h264.mp4" : file.stem().string() + ".mp4");
    VideoReader reader(made);
    const std::size_t pixels = contains(c[0], "odd") ? 61 * 47 : 64 * 48;
    CHECK(reader_rgb(reader).size() == 6 * 3 * pixels);
  }
  CHECK(shell_word("a/b-1_2.mp4") == "a/b-1_2.mp4");
  CHECK(shell_word("-i.mp4") == "./-i.mp4");
  CHECK(shell_word("a b:c") == "./'a b:c'");
  CHECK(shell_word("") == "''");
}

TEST_CASE("what is no video is told apart, and no list of other files is followed") {
  const TemporaryFolder folder;
  make_video(folder.path / "a.wav", "-f lavfi -i sine=duration=1");
  make_video(folder.path / "a.png", test_source(64, 48, 1));
  make_video(folder.path / "a.mp4", test_source(64, 48, 1));
  write_text(folder.path / "list.m3u8",
             "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n");
  write_text(folder.path / "concat.avi", "ffconcat version 1.0\nfile a.mp4\n");
  write_text(folder.path / "notes.txt", "clip,label\na,b\n");
  CHECK(contains(error_of(folder.path / "a.wav"), "is a sound file"));
  CHECK(contains(error_of(folder.path / "a.png"), "is a single picture (png)"));
  CHECK(contains(error_of(folder.path / "list.m3u8"), "is a list of other files"));
  CHECK(contains(error_of(folder.path / "concat.avi"), "is a list of other files"));
  CHECK(contains(error_of(folder.path / "notes.txt"), "cannot be opened as a video"));
}

TEST_CASE("a file written to a pipe is read whole") {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"avi", "-c:v libx264 -f avi"},
      {"mkv", "-c:v libx264 -bf 2 -f matroska"},
      {"webm", "-c:v libvpx -deadline realtime -f webm"},
      {"mp4", "-c:v libx264 -bf 2 -movflags empty_moov+frag_keyframe -g 5 -f mp4"},
      {"flv", "-c:v flv -f flv"},
      {"wmv", "-c:v wmv2 -f asf"},
      {"ogv", "-c:v libtheora -f ogv"},
      {"ts", "-c:v libx264 -bf 2 -f mpegts"},
      {"mpg", "-c:v mpeg2video -f mpeg"},
      {"gif", "-f gif"}};
  for (const auto& [ending, arguments] : cases) {
    CAPTURE(ending);
    const fs::path file = folder.path / ("pipe." + ending);
    output_of(fmt::format("ffmpeg -nostdin -v error {} {} - | cat > '{}'", test_source(64, 48, 25), arguments,
                          file.string()));
    CHECK(promised_bytes(file) <= fs::file_size(file));
    const std::string expected = ffmpeg_rgb(file);
    VideoReader reader(file);
    const std::string got = reader_rgb(reader);
    CHECK(got.size() > 15 * 64 * 48 * 3);
    CHECK((got == expected));
  }
  // AVI with a size of 0, and one of several RIFF chunks (OpenDML).
  std::string bytes = output_of("cat '" + (folder.path / "pipe.avi").string() + "'");
  for (std::size_t i = 4; i < 8; ++i) bytes[i] = 0;
  write_text(folder.path / "zero.avi", bytes);
  VideoReader reader(folder.path / "zero.avi");
  CHECK(reader_rgb(reader).size() == 25 * 64 * 48 * 3);
}

TEST_CASE("sizes: what the outermost parts of a file promise") {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "x";
  const auto promised = [&](const std::string& bytes) {
    write_text(file, bytes);
    return promised_bytes(file);
  };
  using std::string_literals::operator""s;
  const std::string first = "RIFF\x0c\0\0\0AVI 12345678"s, second = "RIFF\x08\0\0\0AVIX1234"s;
  CHECK(promised(first + second) == 0);
  CHECK(promised(first + second.substr(0, 13)) == 36);
  CHECK(promised("RIFF\x0d\0\0\0AVI 123456789"s) == 21);  // without the padding of an odd size
  CHECK(promised("RIFF\xff\xff\xff\xff"
                 "AVI 1234"s) == 0);
  CHECK(promised("RIFF\0\0\0\0AVI 1234"s) == 0);
  CHECK(promised(first + "trailing bytes of another kind") == 0);
}

TEST_CASE("a truncated file of the newer kinds is an error wherever it was cut") {
  const TemporaryFolder folder;
  for (const std::string name : {"x.wmv", "x.flv", "x.ogv", "x.gif", "x.mxf"}) {
    const fs::path good =
        make_video(folder.path / name, test_source(64, 48, 8) + (name == "x.mxf" ? " -c:v mpeg2video" : ""));
    const std::string bytes = output_of("cat '" + good.string() + "'");
    const fs::path cut = folder.path / ("cut_" + name);
    // Without the last four bytes, the length of the last tag, an FLV is still whole.
    for (std::size_t length = 1; length + 4 < bytes.size(); length += 1 + bytes.size() / 37) {
      CAPTURE(name);
      CAPTURE(length);
      write_text(cut, bytes.substr(0, length));
      CHECK_MESSAGE(contains(error_of(cut), cut.string()), error_of(cut));
    }
  }
}

TEST_CASE("a size that nobody can mean is refused before its memory is taken") {
  const TemporaryFolder folder;
  make_video(folder.path / "a.gif", test_source(64, 48, 2));
  std::string gif = output_of("cat '" + (folder.path / "a.gif").string() + "'");
  gif.replace(6, 4, "\x60\xea\x60\xea");  // 60000 x 60000
  write_text(folder.path / "a.gif", gif);
  CHECK(contains(error_of(folder.path / "a.gif"), "a.gif: "));
}

}  // namespace mg
