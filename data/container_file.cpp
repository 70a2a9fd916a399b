// Container files by FFmpeg's demuxers.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <deque>
#include <string_view>
#include <utility>

#include "data/av_handle.h"
#include "data/container_size.h"
#include "data/packet_source.h"
#include "data/packet_times.h"
#include "data/ts_joint.h"
#include "data/video_formats.h"

namespace mg {

namespace fs = std::filesystem;

namespace {

static_assert(kNoTime == AV_NOPTS_VALUE);
constexpr std::size_t kMaxAhead = 3;
constexpr int kMaxForeignPackets = 200'000;  // of other streams, in a row

using FormatHandle = Handle<AVFormatContext, avformat_close_input>;
using PacketHandle = Handle<AVPacket, av_packet_free>;

class ContainerFile : public PacketSource {
 public:
  explicit ContainerFile(const fs::path& path) : PacketSource(path) {
    check_file();
    open();
    choose_stream();
    describe();
  }

  const AVCodecParameters& parameters() const override { return *stream_->codecpar; }
  void set_up(AVCodecContext& decoder) const override {
    decoder.pkt_timebase = stream_->time_base;
    decoder.framerate = stream_->avg_frame_rate;
  }
  const StreamFacts& facts() const override { return facts_; }
  bool next(AVPacket& packet) override;
  void check_end() const override;

 private:
  void check_file() const;
  void open();
  void choose_stream();
  void describe();
  bool read(AVPacket& packet);
  bool read_own(AVPacket& packet);
  bool joint_ahead(std::int64_t dts);

  FormatHandle format_;
  AVStream* stream_ = nullptr;
  unsigned streams_ = 0;  // there were on opening
  StreamFacts facts_;
  bool may_jump_ = false;
  PacketTimes times_{1, 0};
  std::deque<PacketHandle> ahead_;  // read already
  bool damaged_at_end_ = false;
};

void ContainerFile::check_file() const {
  std::error_code status;
  if (!fs::is_regular_file(name(), status)) fail("is no regular file: expected a video file");
  if (fs::file_size(name(), status) == 0 && !status) fail("is empty (0 bytes)");
}

void ContainerFile::open() {
  keep_av_messages();
  const AVInputFormat* kind = detect_format(name());
  if (kind == nullptr) fail("cannot be opened as a video: " + av_error_text(AVERROR_INVALIDDATA));
  if (!is_read(*kind)) fail(refusal(name(), *kind));
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  av_dict_set(&options, "format_whitelist", kDemuxers, 0);
  av_dict_set(&options, "codec_whitelist", kDecoders, 0);
  AVFormatContext* context = nullptr;
  keep_av_messages();
  // "file:" makes a local name of any text, also of one that looks like an address or another protocol.
  const int status = avformat_open_input(&context, ("file:" + name()).c_str(), kind, &options);
  av_dict_free(&options);
  format_.reset(context);
  if (status < 0) fail("cannot be opened as a video: " + av_error_text(status));
  const int found = avformat_find_stream_info(format_.get(), nullptr);
  if (found < 0) fail("cannot be read as a video: " + av_error_text(found));
}

void ContainerFile::choose_stream() {
  const int best = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (best < 0) fail("holds no video stream");
  stream_ = format_->streams[best];
  if ((stream_->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {
    fail("holds no video stream, only a cover picture");
  }
  streams_ = format_->nb_streams;
  for (unsigned i = 0; i < streams_; ++i) {
    if (static_cast<int>(i) != best) format_->streams[i]->discard = AVDISCARD_ALL;
  }
  if (!is_read(parameters())) fail(refusal(name(), *format_->iformat, parameters()));
}

void ContainerFile::describe() {
  const double unit = av_q2d(stream_->time_base);
  facts_.time_unit = unit;
  if (format_->start_time != AV_NOPTS_VALUE) {
    facts_.start = static_cast<double>(format_->start_time) / AV_TIME_BASE;
  }
  AVRational rate = stream_->avg_frame_rate;
  if (rate.num <= 0 || rate.den <= 0) rate = stream_->r_frame_rate;
  if (rate.num > 0 && rate.den > 0) facts_.fps = av_q2d(rate);
  // What follows from the mean rate of bytes is a guess.
  const bool known =
      format_->duration > 0 && format_->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE;
  if (known) facts_.container_end = static_cast<double>(format_->duration) / AV_TIME_BASE;
  facts_.seconds =
      stream_->duration > 0 ? static_cast<double>(stream_->duration) * unit : facts_.container_end;
  // A display matrix is a packed array of numbers in native order, which av_malloc aligned.
  facts_.display_matrix = reinterpret_cast<const std::int32_t*>(
      av_stream_get_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
  facts_.decoding_times_only =
      std::string_view(format_->iformat->name) == "avi" || format_->iformat->raw_codec_id != AV_CODEC_ID_NONE;
  may_jump_ = (format_->iformat->flags & AVFMT_TS_DISCONT) != 0;
  times_ = PacketTimes(unit, facts_.fps > 0 ? 1 / facts_.fps : 0);
}

// The next packet of any stream; false at the end.
bool ContainerFile::read(AVPacket& packet) {
  keep_av_messages();
  const int status = av_read_frame(format_.get(), &packet);
  const bool reported = demuxer_reported_error();
  if (status == AVERROR_EOF) {
    damaged_at_end_ = reported;
    return false;
  }
  if (status < 0) fail(fmt::format("is damaged or truncated {}: {}", place(), av_error_text(status)));
  if (reported) fail(fmt::format("is damaged {}: {}", place(), av_error_text(AVERROR_INVALIDDATA)));
  return true;
}

bool ContainerFile::read_own(AVPacket& packet) {
  for (int foreign = 0; read(packet); ++foreign) {
    if (packet.stream_index == stream_->index) return true;
    const auto number = static_cast<unsigned>(packet.stream_index);
    const bool new_video =
        number >= streams_ && format_->streams[number]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO;
    av_packet_unref(&packet);
    if (new_video) {
      fail(
          fmt::format("goes on as another video stream {}: it was joined from files that differ; "
                      "convert those one by one",
                      place()));
    }
    if (foreign >= kMaxForeignPackets)
      fail(fmt::format("holds no more video data {}, but does not end", place()));
  }
  return false;
}

// Whether one of the packets that come next, after one of this time, is the first of another file. (The
// parser of a stream may be a packet or two behind the demuxer, whose news it passes on.)
bool ContainerFile::joint_ahead(std::int64_t dts) {
  for (std::size_t i = 0; may_jump_ && i < kMaxAhead; ++i) {
    if (i == ahead_.size()) {
      PacketHandle more(av_packet_alloc());
      if (!more) fail("out of memory");
      if (!read_own(*more)) return false;
      ahead_.push_back(std::move(more));
    }
    const AVPacket& packet = *ahead_[i];
    const double step = (static_cast<double>(packet.dts) - static_cast<double>(dts)) * facts_.time_unit;
    dts = packet.dts;
    if ((packet.flags & AV_PKT_FLAG_KEY) == 0) continue;
    if (times_.jumps(packet.dts)) return true;
    // Segments of one stream go on without a frame that is missing.
    if (step > 0 && step * facts_.fps < 1.6 && follows_joint(name(), packet.pos)) return true;
  }
  return false;
}

bool ContainerFile::next(AVPacket& packet) {
  if (!ahead_.empty()) {
    av_packet_move_ref(&packet, ahead_.front().get());
    ahead_.pop_front();
  } else if (!read_own(packet)) {
    return false;
  }
  if ((packet.flags & AV_PKT_FLAG_CORRUPT) != 0) {
    // A transport stream that was joined to another one looks as if something were lost at the joint.
    if (!joint_ahead(packet.dts)) fail(fmt::format("is damaged or truncated {}", place()));
    packet.flags &= ~AV_PKT_FLAG_CORRUPT;
  }
  if (may_jump_) times_.mend(packet.pts, packet.dts, packet.duration);
  return true;
}

void ContainerFile::check_end() const {
  const std::uint64_t promised = promised_bytes(name());
  std::error_code ignored;
  const std::uint64_t there = fs::file_size(name(), ignored);
  if (promised > there)
    fail(fmt::format("is truncated: it should have {} bytes, and has {}", promised, there));
  if (format_->pb != nullptr && format_->pb->error < 0)
    fail("cannot be read: " + av_error_text(format_->pb->error));
  if (damaged_at_end_) fail("is damaged or truncated: " + av_error_text(AVERROR_INVALIDDATA));
}

}  // namespace

std::unique_ptr<PacketSource> open_container(const fs::path& path) {
  return std::make_unique<ContainerFile>(path);
}

}  // namespace mg
