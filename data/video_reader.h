// Video files, and folders of numbered pictures, by FFmpeg's libraries: local files only, software decoding
// on one thread, frames in presentation order and upright (rotation metadata is applied). Pixels equal
// `ffmpeg -fps_mode passthrough -pix_fmt rgb24` (swscale's default flags), scaled ones the same with `-vf
// scale=W:H`, bit for bit. (Scaled pictures of 4:2:2 that lie on their side excepted: ffmpeg turns those as
// 4:4:4, this turns them as RGB.) Interlaced frames are given as they are coded, both fields in one, and
// pixels that are not square as they are stored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "data/frames.h"
#include "data/manifest.h"

namespace mg {

struct VideoInfo {
  int width = 0, height = 0;  // upright
  double fps = 0;             // mean frame rate
  double seconds = 0;         // of the video; 0: unknown
  double container_end = 0;   // when the longest stream of the file ends; 0: unknown
  bool timed = true;          // false: a folder of pictures, which has no times
  std::string codec, pixel_format;
  std::string decoder;  // the library that decodes, and its version
  int rotation = 0;     // degrees clockwise that were applied: 0, 90, 180 or 270
};

// Of an upright picture; {}: its own.
struct PictureSize {
  int height = 0, width = 0;
  friend bool operator==(const PictureSize&, const PictureSize&) = default;
};

class VideoReader {
 public:
  // Throws Error(ExitCode::data) with the path: no such file, a folder without pictures (picture_folder.h
  // says what it has to hold), no video in it, a format or codec that is not read (with the command that
  // converts it), more pixels than 8192 x 8192, no frame. Transport and program streams that were joined end
  // to end are one video, whose times go on at the joint.
  explicit VideoReader(const std::filesystem::path& path);
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;

  const VideoInfo& info() const;
  struct Picture {
    double seconds = 0;                 // the file's presentation time: 0 is where its first stream begins
    const std::uint8_t* rgb = nullptr;  // [height][width][3], valid until the next call
  };
  // The next frame in presentation order; false at the end. Damage that the container or the decoder reports
  // is an Error(ExitCode::data) with the frame's number: never knowingly a shorter video. A container that
  // promises more than the file holds (a truncated file) is one too, told after the last frame that is there.
  bool next(Picture& picture);
  // The same without the cost of making RGB of it: picture.rgb is null. rgb() makes up for it.
  bool advance(Picture& picture);
  const std::uint8_t* rgb(PictureSize scaled = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class ResizeFilter {
  bilinear,  // half-pixel centres, no antialiasing: torchvision's transform of video tensors
  area,      // the mean over the source area of each pixel; for strong reductions
  ffmpeg,    // ffmpeg's scale filter: swscale's default (bicubic), from the decoder's pixel format at once
};

std::string to_string(ResizeFilter filter);

// What of a clip is kept. Part of a cache's key.
struct DecodeSpec {
  int height = 128, width = 171;
  ResizeFilter filter = ResizeFilter::bilinear;
  // 0: every frame; otherwise the frame shown at times k / fps, k = 0, 1, ... from the clip's first frame on.
  double fps = 0;
  friend bool operator==(const DecodeSpec&, const DecodeSpec&) = default;
};
std::string to_string(const DecodeSpec& spec);  // canonical, for provenance

// The clip's frames (its whole file, or its range), resized, each value rounded to the nearest integer (ties
// to even; by ffmpeg: as it does). A range that reaches beyond the video, or holds no frame, is an
// Error(ExitCode::data) that says how many there are. Times are the file's presentation times, as ffmpeg's
// -ss and players count them: 0 is where the first of its streams begins, so that a video which begins after
// its sound has its first frame later than 0. They are compared to half a millisecond (Matroska rounds them
// to one). A time range may begin before the video and end with the file's longest stream, or up to half a
// frame after the video. Pictures of a folder have no times: time ranges and other rates are refused.
Frames decode_clip(const Clip& clip, const DecodeSpec& spec);

// Several clips of one file, which is decoded once, no further than needed; results in the order asked. A
// clip that cannot be had has a fault (what decode_clip would have thrown), which does not lose the others.
struct DecodedClip {
  Frames frames;
  std::string fault;     // empty: none
  std::string decoder;   // "h264 yuv420p, libavcodec 59.37.100": for provenance
  bool stopped = false;  // stop() ended the decoding before the clip was whole
};
// stop is asked before each frame; true: no more.
std::vector<DecodedClip> decode_clips(const std::vector<Clip>& clips, const DecodeSpec& spec,
                                      const std::function<bool()>& stop = {});

}  // namespace mg
