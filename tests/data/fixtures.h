// Files that the tests of data/ make for themselves: a folder that goes away, videos by the ffmpeg program,
// and what that program decodes from them.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "data/manifest.h"
#include "data/video_reader.h"
#include "engine/error.h"
#include "temporary_folder.h"

namespace mg::test {

namespace fs = std::filesystem;

inline std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 65536> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    output.append(buffer.data(), n);
  return output;
}

// ffmpeg's arguments up to the file's name. -bitexact, so that a fixture is the same each time.
inline fs::path make_video(const fs::path& file, const std::string& arguments) {
  const std::string command =
      "ffmpeg -nostdin -v error -y " + arguments + " -bitexact '" + file.string() + "' 2>&1";
  INFO(command);
  CHECK(output_of(command) == "");
  REQUIRE(fs::exists(file));
  return file;
}

// A moving picture of colours: width, height, frames at 25 a second.
inline std::string test_source(int width, int height, int frames, const std::string& rate = "25") {
  return fmt::format("-f lavfi -i testsrc2=size={}x{}:rate={} -frames:v {}", width, height, rate, frames);
}

// All frames, as ffmpeg's program decodes them, and scales them where a size is given.
inline std::string ffmpeg_rgb(const fs::path& file, PictureSize scaled = {}) {
  const std::string filter =
      scaled == PictureSize{} ? "" : fmt::format(" -vf scale={}:{}", scaled.width, scaled.height);
  return output_of("ffmpeg -nostdin -v error -i '" + file.string() + "' -fps_mode passthrough" + filter +
                   " -pix_fmt rgb24 -f rawvideo - 2>/dev/null");
}

// All frames by VideoReader.
inline std::string reader_rgb(VideoReader& reader, PictureSize scaled = {}) {
  const PictureSize size =
      scaled == PictureSize{} ? PictureSize{reader.info().height, reader.info().width} : scaled;
  const std::size_t bytes = static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) * 3;
  std::string all;
  VideoReader::Picture picture;
  while (reader.advance(picture)) all.append(reinterpret_cast<const char*>(reader.rgb(scaled)), bytes);
  return all;
}

inline void write_text(const fs::path& file, const std::string& text) {
  std::ofstream stream(file, std::ios::binary);
  stream << text;
  REQUIRE(stream.flush().good());
}

// The text of the Error(ExitCode::data) that action throws.
template <class Action>
std::string data_error(Action action) {
  try {
    action();
  } catch (const Error& e) {
    CHECK(e.code() == ExitCode::data);
    return e.what();
  }
  return "no error";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline Clip clip_of(const fs::path& file, std::int64_t line = 1) {
  Clip clip;
  clip.line = line;
  clip.name = file.filename().string();
  clip.path = file;
  clip.label = clip.caption = "label";
  clip.video = clip.name;
  return clip;
}

}  // namespace mg::test
