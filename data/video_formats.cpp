#include "data/video_formats.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
}

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <string_view>

#include "data/av_handle.h"

namespace mg {

namespace fs = std::filesystem;

const char* const kDemuxers = "mov,matroska,avi,mpegts,mpeg,mpegvideo,asf,flv,ogg,gif,mxf,dv,h264,hevc,m4v";
const char* const kDecoders =
    "h264,hevc,vp8,vp9,libdav1d,mpeg4,msmpeg4v2,msmpeg4,mpeg1video,mpeg2video,mjpeg,ffv1,rawvideo,"
    "wmv1,wmv2,flv,theora,gif,prores,dnxhd,dvvideo,huffyuv,ffvhuff,utvideo,cinepak,msvideo1,png,qtrle,h263,"
    "magicyuv,bmp";

namespace {

// Whether one of a format's names ("mov,mp4,m4a") is on a list of the same form.
bool share_a_name(const char* names, const char* list) { return av_match_list(names, list, ',') > 0; }

// Formats that no command makes a video of.
struct NoVideo {
  const char* formats;
  const char* what;
};
constexpr std::array<NoVideo, 3> kNoVideo{
    {{"hls,concat,dash,imf,webm_dash_manifest,sdp,rtsp,redir",
      "is a list of other files: expected a video file; name those instead"},
     {"wav,mp3,flac,aac,aiff,au,ac3,eac3,w64,amr,caf,ape,wv,tta,dts",
      "is a sound file: expected a video file"},
     {"srt,ass,webvtt,tty,subviewer,subviewer1,microdvd,sami,mpl2,vplayer,jacosub,realtext,stl,lrc,pjs,"
      "aqtitle",
      "is a text: expected a video file"}}};

std::string conversion(const std::string& file, bool even_size) {
  fs::path made = file;
  if (made.extension() == ".mp4") made.replace_filename(made.stem().string() + "_h264");
  made.replace_extension(".mp4");
  return fmt::format("convert it first: ffmpeg -i {} -c:v libx264 -crf 10 -pix_fmt {} {}", shell_word(file),
                     even_size ? "yuv420p" : "yuv444p", shell_word(made.string()));
}

}  // namespace

bool is_read(const AVInputFormat& format) { return share_a_name(format.name, kDemuxers); }

bool is_read(const AVCodecParameters& codec) {
  const AVCodec* decoder = avcodec_find_decoder(codec.codec_id);
  return decoder != nullptr && share_a_name(decoder->name, kDecoders);
}

const AVInputFormat* detect_format(const std::string& file) {
  AVIOContext* opened = nullptr;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);
  const int status = avio_open2(&opened, ("file:" + file).c_str(), AVIO_FLAG_READ, nullptr, &options);
  av_dict_free(&options);
  const Handle<AVIOContext, avio_closep> io(opened);
  if (status < 0) return nullptr;
  const AVInputFormat* format = nullptr;
  const int score = av_probe_input_buffer2(io.get(), &format, file.c_str(), nullptr, 0, 0);
  if (format == nullptr) return nullptr;
  // A name's ending alone counts for one point: enough for a format that then looks closer.
  return score > AVPROBE_SCORE_RETRY || is_read(*format) ? format : nullptr;
}

std::string shell_word(const std::string& text) {
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_-./+@%,=").find(static_cast<char>(c)) != std::string_view::npos;
  };
  bool plain = !text.empty();
  std::string word = "'";
  for (const char c : text) {
    plain = plain && is_plain(static_cast<unsigned char>(c));
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  word = plain ? text : word + "'";
  // What begins with a dash is an option, and what has a colon before its first slash a protocol.
  const std::size_t colon = text.find(':');
  const bool special =
      !text.empty() && (text.front() == '-' || (colon != std::string::npos && colon < text.find('/')));
  return special ? "./" + word : word;
}

std::string refusal(const std::string& file, const AVInputFormat& format) {
  const std::string name = format.name;
  for (const NoVideo& kind : kNoVideo) {
    if (share_a_name(format.name, kind.formats)) return fmt::format("{} (format {})", kind.what, name);
  }
  if (name.size() > 5 && name.substr(name.size() - 5) == "_pipe") {
    return fmt::format("is a single picture ({}): expected a video file or a folder of pictures",
                       name.substr(0, name.size() - 5));
  }
  return fmt::format("format {} is not read: {}", name, conversion(file, false));
}

std::string refusal(const std::string& file, const AVInputFormat& format, const AVCodecParameters& codec) {
  const bool even = codec.width > 0 && codec.height > 0 && codec.width % 2 == 0 && codec.height % 2 == 0;
  return fmt::format("codec {} (format {}) is not read: {}", avcodec_get_name(codec.codec_id), format.name,
                     conversion(file, even));
}

}  // namespace mg
