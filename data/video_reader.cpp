#include "data/video_reader.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <vector>

#include "data/av_handle.h"
#include "data/packet_source.h"
#include "data/picture_converter.h"
#include "data/video_formats.h"
#include "engine/error.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{8192} * 8192;
// More than any decoder holds back; a file that goes on without a picture is not going to give one.
constexpr std::size_t kMaxDelay = 32;  // packets that a decoder holds back
constexpr int kMaxPacketsWithoutPicture = 2000;

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
  explicit State(const fs::path& path);

  [[noreturn]] void fail(const std::string& what) const { source->fail(what); }
  std::string place() const { return source->place(); }

  void open_decoder();
  void describe();
  bool receive();
  void send_packet();
  void note_time();

  std::unique_ptr<PacketSource> source;
  CodecHandle codec;
  PacketHandle packet{av_packet_alloc()};
  FrameHandle frame{av_frame_alloc()};
  PictureConverter converter;
  std::vector<std::uint8_t> rgb;
  VideoInfo info;
  Orientation orientation;
  int coded_width = 0, coded_height = 0;

  std::int64_t frames = 0;                  // received
  std::deque<std::int64_t> decoding_times;  // of the packets without a picture so far
  double seconds = 0;                       // of the frame received last
  int packets_without_picture = 0;
  bool pending = false;  // a frame is received but not handed out: the first one, received on opening
};

VideoReader::State::State(const fs::path& path) {
  const std::string name = path.string();
  const auto refuse = [&](const char* what) {
    throw Error(ExitCode::data, "{}: {}", name.substr(0, name.find('\0')), what);
  };
  if (name.find('\0') != std::string::npos) refuse("the path holds a NUL character");
  std::error_code status;
  const fs::file_status kind = fs::status(path, status);
  if (!fs::exists(kind)) refuse("there is no such file");
  source = fs::is_directory(kind) ? open_picture_folder(path) : open_container(path);
}

void VideoReader::State::open_decoder() {
  const AVCodecParameters& parameters = source->parameters();
  const char* id = avcodec_get_name(parameters.codec_id);
  const AVCodec* decoder = avcodec_find_decoder(parameters.codec_id);
  if (decoder == nullptr) fail(fmt::format("there is no decoder for codec {}", id));
  codec.reset(avcodec_alloc_context3(decoder));
  if (!codec || !packet || !frame) fail("out of memory");
  if (avcodec_parameters_to_context(codec.get(), &parameters) < 0) fail("cannot set up the decoder");
  source->set_up(*codec);
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
  const AVFrameSideData* own = av_frame_get_side_data(frame.get(), AV_FRAME_DATA_DISPLAYMATRIX);
  std::array<std::int32_t, 9> numbers{};
  if (own != nullptr && own->size >= sizeof numbers) std::memcpy(numbers.data(), own->data, sizeof numbers);
  orientation = orientation_of(own != nullptr ? numbers.data() : source->facts().display_matrix);

  info.width = orientation.turned() ? frame->height : frame->width;
  info.height = orientation.turned() ? frame->width : frame->height;
  const bool half_turn = orientation.flip_left_right && orientation.flip_up_down && !orientation.turned();
  info.rotation = half_turn ? 180 : orientation.rotation;
  info.codec = avcodec_get_name(codec->codec_id);
  const char* pixels = av_get_pix_fmt_name(static_cast<AVPixelFormat>(frame->format));
  info.pixel_format = pixels == nullptr ? "?" : pixels;
  const unsigned version = avcodec_version();
  info.decoder = fmt::format("libavcodec {}.{}.{}", AV_VERSION_MAJOR(version), AV_VERSION_MINOR(version),
                             AV_VERSION_MICRO(version));
}

// One more packet to the decoder, or the news that there is none.
void VideoReader::State::send_packet() {
  keep_av_messages();
  if (!source->next(*packet)) {
    avcodec_send_packet(codec.get(), nullptr);
    return;
  }
  if (packet->size > 0) decoding_times.push_back(packet->dts);
  if (decoding_times.size() > kMaxDelay) decoding_times.pop_front();
  // An empty packet repeats the picture before, as ffmpeg's program takes it: it shows nothing new.
  const int status = packet->size == 0 ? 0 : avcodec_send_packet(codec.get(), packet.get());
  av_packet_unref(packet.get());
  if (status < 0) fail(fmt::format("is damaged {}: {}", place(), av_error_text(status)));
  if (++packets_without_picture > kMaxPacketsWithoutPicture) {
    fail(fmt::format("gives no picture {}, in {} packets", place(), kMaxPacketsWithoutPicture));
  }
}

void VideoReader::State::note_time() {
  const StreamFacts& facts = source->facts();
  double now = frames == 0 ? 0 : seconds + (info.fps > 0 ? 1 / info.fps : 0);
  // A container without times of presentation (AVI) shows its packets' pictures one after the other at the
  // packets' times; the decoder passes on the times at which it has them, which are later.
  std::int64_t timestamp = frame->best_effort_timestamp;
  if (facts.decoding_times_only && !decoding_times.empty()) timestamp = decoding_times.front();
  if (!decoding_times.empty()) decoding_times.pop_front();
  if (timestamp != AV_NOPTS_VALUE) now = static_cast<double>(timestamp) * facts.time_unit - facts.start;
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
      source->check_end();
      if (frames == 0) fail("holds no frame");
      return false;
    }
    if (status < 0) fail(fmt::format("is damaged {}: {}", place(), av_error_text(status)));
    packets_without_picture = 0;
    if ((frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0) {
      fail(fmt::format("is damaged: {} cannot be decoded whole", source->frame_name(frames)));
    }
    if (frames > 0 && (frame->width != coded_width || frame->height != coded_height)) {
      fail(fmt::format("changes its size at {}, from {}x{} to {}x{}", source->frame_name(frames), coded_width,
                       coded_height, frame->width, frame->height));
    }
    note_time();
    source->note_frames(++frames);
    return true;
  }
}

VideoReader::VideoReader(const fs::path& path) : state_(std::make_unique<State>(path)) {
  keep_av_messages();
  state_->open_decoder();
  state_->info.fps = state_->source->facts().fps;
  state_->info.seconds = state_->source->facts().seconds;
  state_->info.container_end = state_->source->facts().container_end;
  state_->info.timed = state_->source->facts().timed;
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
