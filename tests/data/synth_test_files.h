// Shared by the tests of synthetic data: a folder that goes away, the lists that were written, and how many
// pictures a video holds, read with FFmpeg alone.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "data/synth/synth.h"
#include "engine/file.h"

namespace mg::test {

struct SynthFolder {
  std::filesystem::path path;
  explicit SynthFolder(const std::string& name)
      : path(std::filesystem::temp_directory_path() / fmt::format("mg_synth_{}_{}", name, ::getpid())) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~SynthFolder() { std::filesystem::remove_all(path); }
  SynthFolder(const SynthFolder&) = delete;
  SynthFolder& operator=(const SynthFolder&) = delete;
};

using ListRow = std::map<std::string, std::string>;

// No field of these lists is quoted.
inline std::vector<ListRow> read_list(const std::filesystem::path& path) {
  std::istringstream text(read_whole_file(path, ExitCode::data));
  auto split = [](const std::string& line) {
    std::vector<std::string> fields;
    std::istringstream in(line);
    for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
    return fields;
  };
  std::string line;
  std::getline(text, line);
  const std::vector<std::string> header = split(line);
  std::vector<ListRow> rows;
  while (std::getline(text, line)) {
    const std::vector<std::string> fields = split(line);
    REQUIRE(fields.size() == header.size());
    ListRow row;
    for (std::size_t i = 0; i < fields.size(); ++i) row[header[i]] = fields[i];
    rows.push_back(row);
  }
  return rows;
}

inline std::map<std::string, std::string> read_tree(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[entry.path().lexically_relative(folder).string()] = read_whole_file(entry.path(), ExitCode::data);
  }
  return files;
}

struct DecodedVideo {
  int width = 0, height = 0;
  double fps = 0;
  std::string codec;
  std::vector<std::vector<std::uint8_t>> luma;  // [frame][height * width]
};

inline DecodedVideo decode_video(const std::filesystem::path& path) {
  DecodedVideo video;
  AVFormatContext* format = nullptr;
  REQUIRE(avformat_open_input(&format, path.c_str(), nullptr, nullptr) == 0);
  REQUIRE(avformat_find_stream_info(format, nullptr) >= 0);
  REQUIRE(format->nb_streams == 1);
  const AVStream* stream = format->streams[0];
  const AVCodec* decoder = avcodec_find_decoder(stream->codecpar->codec_id);
  AVCodecContext* codec = avcodec_alloc_context3(decoder);
  avcodec_parameters_to_context(codec, stream->codecpar);
  codec->thread_count = 1;
  REQUIRE(avcodec_open2(codec, decoder, nullptr) == 0);
  video.width = codec->width;
  video.height = codec->height;
  video.fps = av_q2d(stream->avg_frame_rate);
  video.codec = decoder->name;
  AVFrame* frame = av_frame_alloc();
  AVPacket* packet = av_packet_alloc();
  auto receive = [&] {
    while (avcodec_receive_frame(codec, frame) == 0) {
      std::vector<std::uint8_t> luma;
      for (int y = 0; y < frame->height; ++y) {
        const std::uint8_t* row = frame->data[0] + y * frame->linesize[0];
        luma.insert(luma.end(), row, row + frame->width);
      }
      video.luma.push_back(std::move(luma));
    }
  };
  while (av_read_frame(format, packet) == 0) {
    REQUIRE(avcodec_send_packet(codec, packet) == 0);
    av_packet_unref(packet);
    receive();
  }
  avcodec_send_packet(codec, nullptr);
  receive();
  av_packet_free(&packet);
  av_frame_free(&frame);
  avcodec_free_context(&codec);
  avformat_close_input(&format);
  return video;
}

}  // namespace mg::test
