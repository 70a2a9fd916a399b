// What videos come in, and what to say of a file that comes in something else.
#pragma once

#include <filesystem>
#include <string>

struct AVCodecParameters;
struct AVInputFormat;

namespace mg {

// Names of FFmpeg's demuxers and decoders, with commas. Each is code that a hostile file can reach: none is
// added without a run of `tools/fuzz ... video` on files of its kind.
extern const char* const kDemuxers;
extern const char* const kDecoders;

bool is_read(const AVInputFormat& format);
bool is_read(const AVCodecParameters& codec);

// The container's format by the file's first bytes, or nullptr where FFmpeg knows none that is likely.
const AVInputFormat* detect_format(const std::string& file);

// "format asf is not read: convert it first: ffmpeg -i ...": why a file of this format, or a stream of this
// codec, is refused, and the command for a POSIX shell that makes a video of it that is read.
std::string refusal(const std::string& file, const AVInputFormat& format);
std::string refusal(const std::string& file, const AVInputFormat& format, const AVCodecParameters& codec);

// A word of a command line for a POSIX shell, quoted where needed.
std::string shell_word(const std::string& text);

}  // namespace mg
