// Any bytes as a video file: frames, or an Error of its own code.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "data/video_reader.h"
#include "engine/error.h"

namespace {

constexpr int kMaxFrames = 12;
constexpr int kMaxConverted = 512 * 512;  // pixels; decoding is what is looked at

void read_frames(const std::string& path) {
  mg::VideoReader reader(path);
  mg::VideoReader::Picture picture;
  for (int i = 0; i < kMaxFrames && reader.advance(picture); ++i) {
    if (i < 2 && reader.info().width * reader.info().height <= kMaxConverted) reader.rgb();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  // The reader takes a path, as FFmpeg's demuxers do: a file in memory has one.
  const int file = ::memfd_create("fuzz", 0);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
  try {
    read_frames("/proc/self/fd/" + std::to_string(file));
  } catch (const mg::Error& e) {
    if (e.code() != mg::ExitCode::data) std::abort();
  }
  ::close(file);
  return 0;
}
