// What a video's packets come from: a container file or a folder of pictures. The decoding of them is one
// (video_reader.cpp). Only the .cpp files behind this header know FFmpeg.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "engine/error.h"

struct AVCodecContext;
struct AVCodecParameters;
struct AVPacket;

namespace mg {

struct StreamFacts {
  double time_unit = 0;      // seconds that a timestamp counts
  double start = 0;          // seconds by the file's clock of what is shown as 0
  double fps = 0;            // mean frame rate; 0: unknown
  double seconds = 0;        // how long the video stream is; 0: unknown
  double container_end = 0;  // when the longest stream ends, from start; 0: unknown
  bool decoding_times_only =
      false;          // packets say when they are decoded, not when they are shown (AVI, raw streams)
  bool timed = true;  // false: the pictures have no times at all
  const std::int32_t* display_matrix = nullptr;  // of nine numbers, or none
};

class PacketSource {
 public:
  explicit PacketSource(const std::filesystem::path& path) : name_(path.string()) {}
  virtual ~PacketSource() = default;
  PacketSource(const PacketSource&) = delete;
  PacketSource& operator=(const PacketSource&) = delete;

  virtual const AVCodecParameters& parameters() const = 0;
  // What the decoder is to know beside the parameters.
  virtual void set_up(AVCodecContext& decoder) const = 0;
  virtual const StreamFacts& facts() const = 0;
  // The next packet of the video; false at the end. Damage is an Error(ExitCode::data).
  virtual bool next(AVPacket& packet) = 0;
  // Called after the last frame: throws where the end came too early.
  virtual void check_end() const {}
  // "frame 7" or the picture's file.
  virtual std::string frame_name(std::int64_t frame) const { return fmt::format("frame {}", frame); }

  [[noreturn]] void fail(const std::string& what) const {
    // Without the bytes after a NUL, which would be lost in a message.
    throw Error(ExitCode::data, "{}: {}", name_.substr(0, name_.find('\0')), what);
  }
  const std::string& name() const { return name_; }
  // Frames received so far, for messages.
  void note_frames(std::int64_t frames) { frames_ = frames; }
  // Where reading is: "after frame 6".
  virtual std::string place() const {
    return frames_ == 0 ? "before the first frame" : "after " + frame_name(frames_ - 1);
  }

 protected:
  std::int64_t frames() const { return frames_; }

 private:
  std::string name_;
  std::int64_t frames_ = 0;
};

// Throws Error(ExitCode::data) with the path, as VideoReader says.
std::unique_ptr<PacketSource> open_container(const std::filesystem::path& path);
std::unique_ptr<PacketSource> open_picture_folder(const std::filesystem::path& folder);

}  // namespace mg
