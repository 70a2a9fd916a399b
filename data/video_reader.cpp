#include "data/video_reader.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "data/av_handle.h"
#include "data/container_size.h"
#include "data/picture_converter.h"
#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

// Formats and decoders that videos come in; each further one is code that a hostile file can reach.
constexpr const char* kDemuxers = "mov,matroska,avi,mpegts";
constexpr const char* kDecoders =
    "h264,hevc,vp8,vp9,libdav1d,mpeg4,msmpeg4,msmpeg4v2,mpeg1video,mpeg2video,mjpeg,ffv1,rawvideo";

constexpr std::int64_t kMaxPixels = std::int64_t{8192} * 8192;
// More than any decoder holds back; a file that goes on without a picture is not going to give one.
constexpr int kMaxPacketsWithoutPicture = 2000;
constexpr int kMaxForeignPackets = 200'000;  // of other streams, in a row

using FormatHandle = Handle<AVFormatContext, avformat_close_input>;
using CodecHandle = Handle<AVCodecContext, avcodec_free_context>;
using PacketHandle = Handle<AVPacket, av_packet_free>;
using FrameHandle = Handle<AVFrame, av_frame_free>;

// Options of FFmpeg by name. What is left after a call was not understood, which is of no interest.
struct Options {
  AVDictionary* dictionary = nullptr;
  Options() = default;
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;
  ~Options() { av_dict_free(&dictionary); }
  void set(const char* name, const char* value) { av_dict_set(&dictionary, name, value, 0); }
};

}  // namespace

struct VideoReader::State {
  explicit State(const fs::path& path) : name(path.string()) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::data, "{}: {}", printable(), what);
  }
  // Without the bytes after a NUL, which would be lost in a message.
  std::string printable() const { return name.substr(0, name.find('\0')); }

  void check_file() const;
  void open_format();
  void open_decoder();
  void describe();
  bool receive();
  void send_packet();
  void note_time();
  std::string place() const {
    return frames == 0 ? "before the first frame" : fmt::format("after frame {}", frames - 1);
  }

  std::string name;
  FormatHandle format;
  CodecHandle codec;
  PacketHandle packet{av_packet_alloc()};
  FrameHandle frame{av_frame_alloc()};
  AVStream* stream = nullptr;
  PictureConverter converter;
  std::vector<std::uint8_t> rgb;
  VideoInfo info;
  Orientation orientation;
  int coded_width = 0, coded_height = 0;

  std::int64_t frames = 0;  // received
  std::int64_t first_timestamp = AV_NOPTS_VALUE;
  double seconds = 0;  // of the frame received last
  int packets_without_picture = 0;
  bool pending = false;  // a frame is received but not handed out: the first one, received on opening
  std::string fault;     // of the container, found at its end; told after the last frame
};

void VideoReader::State::check_file() const {
  if (name.find('\0') != std::string::npos) fail("the path holds a NUL character");
  std::error_code status;
  const fs::file_status file = fs::status(name, status);
  if (!fs::exists(file)) fail("there is no such file");
  if (fs::is_directory(file)) fail("is a folder: expected a video file");
  if (!fs::is_regular_file(file)) fail("is no regular file: expected a video file");
  if (fs::file_size(name, status) == 0 && !status) fail("is empty (0 bytes)");
}

void VideoReader::State::open_format() {
  AVFormatContext* context = nullptr;
  Options options;
  options.set("protocol_whitelist", "file");
  options.set("format_whitelist", kDemuxers);
  options.set("codec_whitelist", kDecoders);
  // "file:" makes a local name of any text, also of one that looks like an address or another protocol.
  const int status = avformat_open_input(&context, ("file:" + name).c_str(), nullptr, &options.dictionary);
  format.reset(context);
  if (status < 0) fail("cannot be opened as a video: " + av_error_text(status));

  const int found = avformat_find_stream_info(format.get(), nullptr);
  if (found < 0) fail("cannot be read as a video: " + av_error_text(found));
  const int best = av_find_best_stream(format.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (best < 0) fail("holds no video stream");
  stream = format->streams[best];
  if ((stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0)
    fail("holds no video stream, only a cover picture");
  for (unsigned i = 0; i < format->nb_streams; ++i) {
    if (static_cast<int>(i) != best) format->streams[i]->discard = AVDISCARD_ALL;
  }
}

void VideoReader::State::open_decoder() {
  const AVCodecParameters& parameters = *stream->codecpar;
  const char* id = avcodec_get_name(parameters.codec_id);
  const AVCodec* decoder = avcodec_find_decoder(parameters.codec_id);
  if (decoder == nullptr) fail(fmt::format("there is no decoder for codec {}", id));
  codec.reset(avcodec_alloc_context3(decoder));
  if (!codec || !packet || !frame) fail("out of memory");
  if (avcodec_parameters_to_context(codec.get(), &parameters) < 0) fail("cannot set up the decoder");
  codec->pkt_timebase = stream->time_base;
  codec->framerate = stream->avg_frame_rate;
  codec->thread_count = 1;
  codec->max_pixels = kMaxPixels;
  if (std::int64_t{parameters.width} * parameters.height > kMaxPixels) {
    fail(fmt::format("has {}x{} pixels: at most 8192 x 8192 are read", parameters.width, parameters.height));
  }
  Options options;
  options.set("codec_whitelist", kDecoders);
  const int status = avcodec_open2(codec.get(), decoder, &options.dictionary);
  if (status < 0) fail(fmt::format("codec {}: cannot be decoded: {}", id, av_error_text(status)));
}

// What the first frame, which has been received, tells.
void VideoReader::State::describe() {
  coded_width = frame->width;
  coded_height = frame->height;
  const std::uint8_t* matrix = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr);
  const AVFrameSideData* own = av_frame_get_side_data(frame.get(), AV_FRAME_DATA_DISPLAYMATRIX);
  if (own != nullptr) matrix = own->data;
  std::array<std::int32_t, 9> numbers{};
  if (matrix != nullptr) std::memcpy(numbers.data(), matrix, sizeof numbers);
  orientation = orientation_of(matrix == nullptr ? nullptr : numbers.data());

  info.width = orientation.turned() ? frame->height : frame->width;
  info.height = orientation.turned() ? frame->width : frame->height;
  const bool half_turn = orientation.flip_left_right && orientation.flip_up_down && !orientation.turned();
  info.rotation = half_turn ? 180 : orientation.rotation;
  AVRational rate = stream->avg_frame_rate;
  if (rate.num <= 0 || rate.den <= 0) rate = stream->r_frame_rate;
  if (rate.num > 0 && rate.den > 0) info.fps = av_q2d(rate);
  if (stream->duration > 0) {
    info.seconds = static_cast<double>(stream->duration) * av_q2d(stream->time_base);
  } else if (format->duration > 0) {
    info.seconds = static_cast<double>(format->duration) / AV_TIME_BASE;
  }
  info.codec = avcodec_get_name(codec->codec_id);
  const char* pixels = av_get_pix_fmt_name(static_cast<AVPixelFormat>(frame->format));
  info.pixel_format = pixels == nullptr ? "?" : pixels;
  const unsigned version = avcodec_version();
  info.decoder = fmt::format("libavcodec {}.{}.{}", AV_VERSION_MAJOR(version), AV_VERSION_MINOR(version),
                             AV_VERSION_MICRO(version));
}

// One more packet of the video stream to the decoder, or the news that there is none.
void VideoReader::State::send_packet() {
  for (int foreign = 0;; ++foreign) {
    keep_av_messages();
    const int status = av_read_frame(format.get(), packet.get());
    if (status >= 0 && demuxer_reported_error()) {
      fail(fmt::format("is damaged {}: {}", place(), av_error_text(AVERROR_INVALIDDATA)));
    }
    if (status == AVERROR_EOF) {
      if (demuxer_reported_error())
        fault = fmt::format("is damaged or truncated: {}", av_error_text(AVERROR_INVALIDDATA));
      if (format->pb != nullptr && format->pb->error < 0)
        fault = "cannot be read: " + av_error_text(format->pb->error);
      const std::uint64_t promised = promised_bytes(name);
      std::error_code ignored;
      const std::uint64_t there = fs::file_size(name, ignored);
      if (promised > there) {
        fault = fmt::format("is truncated: it should have {} bytes, and has {}", promised, there);
      }
      avcodec_send_packet(codec.get(), nullptr);
      return;
    }
    if (status < 0) fail(fmt::format("is damaged or truncated {}: {}", place(), av_error_text(status)));
    if (packet->stream_index == stream->index) break;
    av_packet_unref(packet.get());
    if (foreign >= kMaxForeignPackets)
      fail(fmt::format("holds no more video data {}, but does not end", place()));
  }
  const bool corrupt = (packet->flags & AV_PKT_FLAG_CORRUPT) != 0;
  // An empty packet repeats the picture before, as ffmpeg's program takes it: it shows nothing new.
  const int status = packet->size == 0 ? 0 : avcodec_send_packet(codec.get(), packet.get());
  av_packet_unref(packet.get());
  if (corrupt) fail(fmt::format("is damaged or truncated {}", place()));
  if (status < 0) fail(fmt::format("is damaged {}: {}", place(), av_error_text(status)));
  if (++packets_without_picture > kMaxPacketsWithoutPicture) {
    fail(fmt::format("gives no picture {}, in {} packets", place(), kMaxPacketsWithoutPicture));
  }
}

void VideoReader::State::note_time() {
  const std::int64_t timestamp = frame->best_effort_timestamp;
  const double step = info.fps > 0 ? 1 / info.fps : 0;
  double now = frames == 0 ? 0 : seconds + step;
  if (timestamp != AV_NOPTS_VALUE) {
    if (first_timestamp == AV_NOPTS_VALUE) {
      first_timestamp = timestamp;
    } else {
      now =
          (static_cast<double>(timestamp) - static_cast<double>(first_timestamp)) * av_q2d(stream->time_base);
    }
  }
  seconds = frames == 0 ? now : std::max(now, seconds);  // never backwards, whatever a broken file says
}

// The next frame in presentation order; false at the end.
bool VideoReader::State::receive() {
  for (;;) {
    const int status = avcodec_receive_frame(codec.get(), frame.get());
    if (status == AVERROR(EAGAIN)) {
      send_packet();
      continue;
    }
    if (status == AVERROR_EOF) {
      if (!fault.empty()) fail(fault);
      if (frames == 0) fail("holds no frame");
      return false;
    }
    if (status < 0) fail(fmt::format("is damaged {}: {}", place(), av_error_text(status)));
    packets_without_picture = 0;
    if ((frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0) {
      fail(fmt::format("is damaged: frame {} cannot be decoded whole", frames));
    }
    if (frames > 0 && (frame->width != coded_width || frame->height != coded_height)) {
      fail(fmt::format("changes its size at frame {}, from {}x{} to {}x{}", frames, coded_width, coded_height,
                       frame->width, frame->height));
    }
    note_time();
    ++frames;
    return true;
  }
}

VideoReader::VideoReader(const fs::path& path) : state_(std::make_unique<State>(path)) {
  keep_av_messages();
  state_->check_file();
  state_->open_format();
  state_->open_decoder();
  state_->pending = state_->receive();
  state_->describe();
}

VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;

const VideoInfo& VideoReader::info() const { return state_->info; }

bool VideoReader::advance(Picture& picture) {
  State& s = *state_;
  keep_av_messages();
  if (!s.pending && !s.receive()) return false;
  s.pending = false;
  picture = {s.seconds, nullptr};
  return true;
}

const std::uint8_t* VideoReader::rgb(PictureSize scaled) {
  State& s = *state_;
  const std::string problem = s.converter.convert(*s.frame, s.orientation, scaled, s.rgb);
  if (!problem.empty()) s.fail(problem);
  return s.rgb.data();
}

bool VideoReader::next(Picture& picture) {
  if (!advance(picture)) return false;
  picture.rgb = rgb();
  return true;
}

}  // namespace mg
