#include "data/synth/video_writer.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
}

#include <algorithm>
#include <string>

#include "engine/error.h"

namespace mg::synth {

namespace {

struct Free {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(AVFormatContext* p) const {
    if (p->pb != nullptr) avio_closep(&p->pb);
    avformat_free_context(p);
  }
};

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

// BT.601, limited range; chroma is the mean of 2 x 2 pixels.
void to_yuv420(const Canvas& canvas, AVFrame& frame) {
  auto clamped = [](float v) { return std::clamp(v, 0.0f, 1.0f); };
  for (int y = 0; y < canvas.height(); y += 2) {
    std::uint8_t* luma[2] = {frame.data[0] + y * frame.linesize[0],
                             frame.data[0] + (y + 1) * frame.linesize[0]};
    std::uint8_t* cb = frame.data[1] + y / 2 * frame.linesize[1];
    std::uint8_t* cr = frame.data[2] + y / 2 * frame.linesize[2];
    const float* rows[2] = {canvas.row(y), canvas.row(y + 1)};
    for (int x = 0; x < canvas.width(); x += 2) {
      float r = 0, g = 0, b = 0;
      for (int dy = 0; dy < 2; ++dy) {
        for (int dx = 0; dx < 2; ++dx) {
          const float* p = rows[dy] + 3 * (x + dx);
          const float pr = clamped(p[0]), pg = clamped(p[1]), pb = clamped(p[2]);
          luma[dy][x + dx] = to_byte(16 + 65.481f * pr + 128.553f * pg + 24.966f * pb);
          r += pr;
          g += pg;
          b += pb;
        }
      }
      cb[x / 2] = to_byte(128 + 0.25f * (-37.797f * r - 74.203f * g + 112 * b));
      cr[x / 2] = to_byte(128 + 0.25f * (112 * r - 93.786f * g - 18.214f * b));
    }
  }
}

}  // namespace

struct VideoWriter::State {
  std::string path;
  std::unique_ptr<AVFormatContext, Free> format;
  std::unique_ptr<AVCodecContext, Free> codec;
  std::unique_ptr<AVFrame, Free> frame;
  std::unique_ptr<AVPacket, Free> packet;
  AVStream* stream = nullptr;
  std::int64_t frames = 0;

  int check(int result, const char* action) const {
    if (result >= 0) return result;
    char reason[AV_ERROR_MAX_STRING_SIZE] = {};
    av_strerror(result, reason, sizeof reason);
    throw Error(ExitCode::failure, "{}: cannot {}: {}", path, action, reason);
  }

  void open_codec(int width, int height, int fps) {
    const AVCodec* encoder = avcodec_find_encoder_by_name("libx264");
    const bool x264 = encoder != nullptr;
    if (!x264) encoder = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    if (encoder == nullptr) {
      throw Error(ExitCode::failure, "{}: FFmpeg has neither the encoder libx264 nor mpeg4", path);
    }
    codec.reset(avcodec_alloc_context3(encoder));
    expect(codec != nullptr, "{}: cannot allocate an encoder", path);
    codec->width = width;
    codec->height = height;
    codec->pix_fmt = AV_PIX_FMT_YUV420P;
    codec->time_base = {1, fps};
    codec->framerate = {fps, 1};
    codec->gop_size = 50;
    codec->thread_count = 1;
    codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if ((format->oformat->flags & AVFMT_GLOBALHEADER) != 0) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    codec->log_level_offset = 16;  // x264's statistics are no messages of this program
    if (x264) {
      check(av_opt_set(codec->priv_data, "preset", "superfast", 0), "set the preset");
      check(av_opt_set(codec->priv_data, "crf", "20", 0), "set the quality");
    } else {
      codec->flags |= AV_CODEC_FLAG_QSCALE;
      codec->global_quality = FF_QP2LAMBDA * 3;
    }
    check(avcodec_open2(codec.get(), encoder, nullptr), "open the encoder");
  }

  // Passes a frame (null: the end) to the encoder, and what it gives to the file.
  void encode(AVFrame* picture) {
    check(avcodec_send_frame(codec.get(), picture), "encode");
    for (;;) {
      const int result = avcodec_receive_packet(codec.get(), packet.get());
      if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
      check(result, "encode");
      packet->stream_index = stream->index;
      packet->duration = 1;
      av_packet_rescale_ts(packet.get(), codec->time_base, stream->time_base);
      check(av_interleaved_write_frame(format.get(), packet.get()), "write");
    }
  }
};

VideoWriter::VideoWriter(const std::filesystem::path& path, int width, int height, int fps)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = path.string();
  AVFormatContext* format = nullptr;
  s.check(avformat_alloc_output_context2(&format, nullptr, "mp4", s.path.c_str()), "open");
  s.format.reset(format);
  format->flags |= AVFMT_FLAG_BITEXACT;
  s.open_codec(width, height, fps);
  s.stream = avformat_new_stream(format, nullptr);
  s.frame.reset(av_frame_alloc());
  s.packet.reset(av_packet_alloc());
  expect(s.stream != nullptr && s.frame != nullptr && s.packet != nullptr, "{}: cannot allocate a stream",
         s.path);
  s.stream->time_base = s.codec->time_base;
  s.check(avcodec_parameters_from_context(s.stream->codecpar, s.codec.get()), "describe the stream");
  s.frame->format = AV_PIX_FMT_YUV420P;
  s.frame->width = width;
  s.frame->height = height;
  s.check(av_frame_get_buffer(s.frame.get(), 0), "allocate a frame");
  s.check(avio_open(&format->pb, s.path.c_str(), AVIO_FLAG_WRITE), "open");
  s.check(avformat_write_header(format, nullptr), "write the header");
}

VideoWriter::~VideoWriter() = default;

void VideoWriter::add(const Canvas& canvas) {
  State& s = *state_;
  expect(canvas.width() == s.codec->width && canvas.height() == s.codec->height,
         "{}: expected a picture of {} x {}, got {} x {}", s.path, s.codec->width, s.codec->height,
         canvas.width(), canvas.height());
  s.check(av_frame_make_writable(s.frame.get()), "allocate a frame");
  to_yuv420(canvas, *s.frame);
  s.frame->pts = s.frames++;
  s.encode(s.frame.get());
}

void VideoWriter::finish() {
  State& s = *state_;
  s.encode(nullptr);
  s.check(av_write_trailer(s.format.get()), "finish");
  s.check(avio_closep(&s.format->pb), "close");
}

}  // namespace mg::synth
