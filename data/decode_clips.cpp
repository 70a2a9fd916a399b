// Clips of one video: one pass over its frames, each resized once and given to every clip that holds it.
#include <algorithm>
#include <cmath>
#include <memory>

#include "data/frame_resize.h"
#include "data/picture_folder.h"
#include "data/video_reader.h"
#include "engine/error.h"

namespace mg {

namespace {

// Seconds: half of Matroska's unit of time, to which it rounds. Frames are further apart than this.
constexpr double kTimeTolerance = 0.0005;
constexpr std::size_t kMaxClipBytes = std::size_t{4} << 30;

// One clip on its way.
class ClipInProgress {
 public:
  ClipInProgress(const Clip& clip, const DecodeSpec& spec, const VideoInfo& video)
      : clip_(clip),
        spec_(spec),
        frame_seconds_(video.fps > 0 ? 1 / video.fps : 0),
        container_end_(video.container_end) {
    result_.frames = {0, spec.height, spec.width, spec.fps > 0 ? spec.fps : video.fps, {}};
    result_.decoder = fmt::format("{} {}, {}", video.codec, video.pixel_format, video.decoder);
    if (!video.timed && (clip.time || spec.fps > 0)) {
      give_up(fmt::format(
          "{}: a folder of pictures has no times: expected start_frame,end_frame and every frame, or a video "
          "made of it (with its rate in place of 25): {}",
          clip.path.string(), picture_folder_conversion(clip.path)));
    }
  }

  bool finished() const { return finished_; }
  bool wants(std::int64_t index, double seconds) const {
    if (finished_ || ends_before(index, seconds)) return false;
    if (clip_.frames) return index >= clip_.frames->first;
    return !clip_.time || seconds >= clip_.time->start - kTimeTolerance;
  }

  // For each frame of the video in order; resized: what wants() asked for, or nullptr.
  void see(std::int64_t index, double seconds, const std::vector<std::uint8_t>* resized) {
    if (finished_) return;
    if (index == 0) video_begin_ = seconds;
    if (ends_before(index, seconds)) return finish();
    if (resized == nullptr) return;
    if (spec_.fps <= 0) {
      append(*resized);
    } else {
      if (shown_.empty()) first_seconds_ = seconds;
      repeat_until(seconds - first_seconds_);
      shown_ = *resized;
      shown_since_ = seconds - first_seconds_;
    }
    if (clip_.frames && index == clip_.frames->last) finish();
  }

  // After the video's last frame. A time range may go on while the file does: its sound may be longer.
  void end(std::int64_t frames, double last_seconds) {
    if (finished_) return;
    const double seconds = last_seconds + frame_seconds_;
    const double latest = std::max(seconds + frame_seconds_ / 2, container_end_) + kTimeTolerance;
    if (clip_.frames || (clip_.time && clip_.time->end > latest)) {
      const std::string from = video_begin_ > kTimeTolerance ? fmt::format("{:.3f} to ", video_begin_) : "";
      return give_up(fmt::format("{}: the clip is {}, but the video has {} frames ({}{:.3f} s)",
                                 clip_.path.string(), range_text(clip_), frames, from, seconds));
    }
    finish();
  }
  void give_up(const std::string& fault) {
    if (finished_) return;
    finished_ = true;
    result_.fault = fault;
    result_.frames.rgb = {};
    result_.frames.count = 0;
  }
  void stop() {
    if (finished_) return;
    give_up("stopped");
    result_.stopped = true;
  }
  DecodedClip take() { return std::move(result_); }

 private:
  bool ends_before(std::int64_t index, double seconds) const {
    if (clip_.frames) return index > clip_.frames->last;
    return clip_.time && seconds >= clip_.time->end - kTimeTolerance;
  }
  void append(const std::vector<std::uint8_t>& frame) {
    Frames& out = result_.frames;
    if (out.rgb.size() + frame.size() > kMaxClipBytes) {
      return give_up(
          fmt::format("{}: the clip has more than {} frames of {}x{}, which is above the limit of 4 GiB",
                      clip_.path.string(), out.count, out.height, out.width));
    }
    out.rgb.insert(out.rgb.end(), frame.begin(), frame.end());
    ++out.count;
  }
  // The frame that is shown, for each k / fps until the given time after the clip's first frame.
  void repeat_until(double seconds) {
    while (!shown_.empty() && !finished_ &&
           static_cast<double>(result_.frames.count) / spec_.fps < seconds - kTimeTolerance) {
      append(shown_);
    }
  }
  void finish() {
    repeat_until(shown_since_ + std::max(frame_seconds_, 2 * kTimeTolerance));
    if (!finished_ && result_.frames.count == 0) {
      const bool early = clip_.time && clip_.time->end <= video_begin_ + kTimeTolerance;
      give_up(fmt::format("{}: the clip ({}) holds no frame{}", clip_.path.string(), range_text(clip_),
                          early ? fmt::format(": the video begins at {:.3f} s", video_begin_) : ""));
    }
    finished_ = true;
  }

  const Clip& clip_;
  const DecodeSpec& spec_;
  double frame_seconds_;  // of the video, on average; 0: unknown
  double container_end_;  // of the file's longest stream; 0: unknown
  double video_begin_ = 0;
  DecodedClip result_;
  bool finished_ = false;
  std::vector<std::uint8_t> shown_;  // with spec.fps: the frame seen last, its time and the first one's
  double shown_since_ = 0, first_seconds_ = 0;
};

// Gives a reader's pictures in the size of a specification.
class ResizedReader {
 public:
  ResizedReader(VideoReader& reader, const DecodeSpec& spec)
      : reader_(reader),
        spec_(spec),
        resized_(std::size_t{3} * static_cast<std::size_t>(spec.height) *
                 static_cast<std::size_t>(spec.width)) {
    if (spec.filter == ResizeFilter::ffmpeg) return;
    const VideoInfo& info = reader.info();
    resizer_ = std::make_unique<FrameResizer>(info.height, info.width, spec.height, spec.width, spec.filter);
  }

  // The picture that the reader is at.
  const std::vector<std::uint8_t>& picture() {
    if (resizer_) {
      const VideoInfo& info = reader_.info();
      resizer_->resize(RgbWindow{reader_.rgb(), info.height, info.width, std::int64_t{info.width} * 3},
                       resized_.data());
    } else {
      std::copy_n(reader_.rgb({spec_.height, spec_.width}), resized_.size(), resized_.data());
    }
    return resized_;
  }

 private:
  VideoReader& reader_;
  const DecodeSpec& spec_;
  std::vector<std::uint8_t> resized_;
  std::unique_ptr<FrameResizer> resizer_;  // null: swscale resizes
};

void decode_into(VideoReader& reader, const DecodeSpec& spec, std::vector<ClipInProgress>& clips,
                 const std::function<bool()>& stop) {
  ResizedReader resized(reader, spec);
  VideoReader::Picture picture;
  double last_seconds = 0;
  std::int64_t index = 0;
  for (; reader.advance(picture); ++index) {
    if (stop && stop()) {
      for (ClipInProgress& clip : clips) clip.stop();
      return;
    }
    last_seconds = picture.seconds;
    const auto wants = [&](const ClipInProgress& clip) { return clip.wants(index, picture.seconds); };
    const bool wanted = std::any_of(clips.begin(), clips.end(), wants);
    const std::vector<std::uint8_t>* frame = wanted ? &resized.picture() : nullptr;
    bool all_finished = true;
    for (ClipInProgress& clip : clips) {
      clip.see(index, picture.seconds, wants(clip) ? frame : nullptr);
      all_finished = all_finished && clip.finished();
    }
    if (all_finished) return;
  }
  for (ClipInProgress& clip : clips) clip.end(index, last_seconds);
}

}  // namespace

std::string to_string(ResizeFilter filter) {
  switch (filter) {
    case ResizeFilter::bilinear:
      return "bilinear";
    case ResizeFilter::area:
      return "area";
    case ResizeFilter::ffmpeg:
      break;
  }
  return "ffmpeg";
}

std::string to_string(const DecodeSpec& spec) {
  return fmt::format("{}x{} {} {}", spec.height, spec.width, to_string(spec.filter),
                     spec.fps > 0 ? fmt::format("{} fps", spec.fps) : "every frame");
}

std::vector<DecodedClip> decode_clips(const std::vector<Clip>& clips, const DecodeSpec& spec,
                                      const std::function<bool()>& stop) {
  expect(spec.height >= 1 && spec.width >= 1 && spec.height <= 8192 && spec.width <= 8192,
         "decode: expected frames of 1x1 to 8192x8192, got {}x{}", spec.height, spec.width);
  expect(std::isfinite(spec.fps) && spec.fps >= 0 && spec.fps <= 1000,
         "decode: expected a rate of 0 to 1000 frames a second, got {}", spec.fps);
  if (clips.empty()) return {};
  for (const Clip& clip : clips) {
    expect(clip.path == clips.front().path, "decode_clips: {} and {} are two files", clip.path.string(),
           clips.front().path.string());
  }
  std::vector<DecodedClip> results(clips.size());
  std::vector<ClipInProgress> in_progress;
  std::string fault;
  try {
    VideoReader reader(clips.front().path);
    for (const Clip& clip : clips) in_progress.emplace_back(clip, spec, reader.info());
    decode_into(reader, spec, in_progress, stop);
  } catch (const Error& e) {
    fault = e.what();
  }
  for (std::size_t i = 0; i < clips.size(); ++i) {
    if (i >= in_progress.size()) {
      results[i].fault = fault;
      continue;
    }
    in_progress[i].give_up(fault);  // no effect on a clip that is whole
    results[i] = in_progress[i].take();
  }
  return results;
}

Frames decode_clip(const Clip& clip, const DecodeSpec& spec) {
  DecodedClip decoded = std::move(decode_clips({clip}, spec).front());
  if (!decoded.fault.empty()) throw Error(ExitCode::data, "{}", decoded.fault);
  return std::move(decoded.frames);
}

}  // namespace mg
