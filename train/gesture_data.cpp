#include "train/gesture_data.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "kernels/stream.h"
#include "train/interrupt.h"
#include "train/progress.h"
#include "train/settings.h"

namespace mg {

namespace {

std::filesystem::path default_cache(const DataOptions& options, const DecodeSpec& spec) {
  std::filesystem::path path = options.manifest;
  path.replace_extension(
      fmt::format(".{}x{}{}{}.h5", spec.height, spec.width,
                  spec.filter == ResizeFilter::bilinear ? "" : to_string(spec.filter).substr(0, 1),
                  spec.fps > 0 ? fmt::format("@{}", spec.fps) : ""));
  return path;
}

void print_line(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

}  // namespace

void print_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) std::fprintf(stderr, "%s\n", note.c_str());
}

void write_problems(const std::filesystem::path& file, const std::vector<BadClip>& problems) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const BadClip& bad : problems) {
    list.push_back({{"line", bad.line}, {"clip", bad.name}, {"reason", bad.reason}});
  }
  write_whole_file(file, list.dump(2) + "\n");
}

GestureData::GestureData(const DataOptions& options, const Config& config)
    : manifest_(read_manifest(options.manifest)) {
  print_notes(manifest_.notes);
  CacheBuild build{.manifest = options.manifest,
                   .clips = manifest_.clips,
                   .spec = decode_spec(config),
                   .on_bad = OnBad::skip,  // so that all bad clips are known, and the good ones kept
                   .threads = CpuStream(config.small("threads")).threads(),
                   .progress = progress_callback("decoding", "clips"),
                   .report = print_line,
                   .stop = InterruptGuard::signal};
  const auto path = options.cache.empty() ? default_cache(options, build.spec) : options.cache;
  const InterruptGuard guard;
  try {
    frames_ = std::make_unique<FrameCache>(FrameCache::open(path, build));
  } catch (const Error& e) {
    if (e.code() != ExitCode::failure) throw;
    throw Error(e.code(), "{} (the frame cache; --cache FILE puts it elsewhere)", e.what());
  }
  build.progress = {};  // ends its line
  if (options.on_bad == OnBad::stop) stop_at_bad_clips();
  for (const BadClip& bad : frames_->bad_clips()) {
    std::fprintf(stderr, "%s:%lld: %s: left out: %s\n", options.manifest.c_str(),
                 static_cast<long long>(bad.line), bad.name.c_str(), bad.reason.c_str());
  }
}

void GestureData::stop_at_bad_clips() const {
  const std::vector<BadClip>& bad = frames_->bad_clips();
  if (bad.empty()) return;
  std::string list;
  for (const BadClip& clip : bad) {
    list += fmt::format("\n  {}:{}: {}", manifest_.path.string(), clip.line, clip.reason);
  }
  throw Error(ExitCode::data,
              "{} of {} clips cannot be decoded:{}\nTake them out of the manifest, or leave them out with "
              "--on-bad skip. What was decoded is kept in the frame cache.",
              bad.size(), manifest_.clips.size(), list);
}

std::vector<std::int64_t> GestureData::readable_of_split(const std::string& split) const {
  std::vector<std::int64_t> numbers = clips_of_split(manifest_, split);
  std::erase_if(numbers, [&](std::int64_t clip) { return !readable(clip); });
  return numbers;
}

}  // namespace mg
