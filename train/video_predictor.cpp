#include "train/video_predictor.h"

#include <algorithm>
#include <numeric>

#include "data/ordered_workers.h"
#include "data/video_reader.h"
#include "train/interrupt.h"
#include "train/machine.h"
#include "train/settings.h"

namespace mg {

namespace {

constexpr std::size_t kGroupClips = 64;
constexpr std::size_t kGroupBytes = std::size_t{256} << 20;
constexpr std::size_t kJobClips = 16;  // of one video, which is decoded once for them

// Neighbours in the list that are of one video.
std::vector<std::vector<Clip>> jobs_of(const std::vector<Clip>& clips) {
  std::vector<std::vector<Clip>> jobs;
  for (const Clip& clip : clips) {
    if (jobs.empty() || jobs.back().size() == kJobClips || jobs.back().front().path != clip.path) {
      jobs.emplace_back();
    }
    jobs.back().push_back(clip);
  }
  return jobs;
}

class Predictor {
 public:
  Predictor(Context& ctx, const Config& config, const std::vector<Clip>& clips, const ScoreClips& score,
            const std::function<void(const ScoredClip&)>& take)
      : ctx_(ctx), config_(config), clips_(clips), score_(score), take_(take) {}

  void run() {
    const InterruptGuard guard;
    const DecodeSpec spec = decode_spec(config_);
    const std::vector<std::vector<Clip>> jobs = jobs_of(clips_);
    OrderedWorkers<std::vector<DecodedClip>> workers(
        static_cast<std::int64_t>(jobs.size()), loader_threads(config_),
        [&](std::int64_t i) { return decode_clips(jobs[static_cast<std::size_t>(i)], spec); });
    for (std::size_t job = 0; job < jobs.size(); ++job) {
      for (DecodedClip& decoded : workers.take()) add(std::move(decoded));
      if (InterruptGuard::signal() != 0) {
        throw Error(static_cast<ExitCode>(128 + InterruptGuard::signal()), "stopped after {} of {} clips",
                    done_, clips_.size());
      }
    }
    flush();
  }

 private:
  // Groups end where a batch does, so that the batches, and what depends on them, are those of one group.
  void add(DecodedClip decoded) {
    faults_.push_back(decoded.fault);
    if (decoded.fault.empty()) {
      bytes_ += decoded.frames.rgb.size();
      frames_.push_back(std::move(decoded.frames));
    }
    const bool is_full = frames_.size() >= kGroupClips || bytes_ >= kGroupBytes;
    if (frames_.size() % kBatch == 0 && (is_full || faults_.size() >= kGroupClips)) flush();
  }

  void flush() {
    std::vector<float> scores;
    const std::size_t count = frames_.size();
    if (count > 0) {
      const MemoryFrames frames(std::move(frames_));
      ClipLoader loader = make_loader(ctx_, frames, config_);
      std::vector<std::int64_t> numbers(count);
      std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
      scores = score_({.loader = loader, .config = config_, .first_sample = first_sample_}, numbers);
    }
    const std::size_t width = count > 0 ? scores.size() / count : 0;
    std::size_t row = 0;
    for (const std::string& fault : faults_) {
      const auto own = fault.empty() ? std::span(scores).subspan(width * row++, width) : std::span<float>();
      take_({clips_[done_++], own, fault});
    }
    first_sample_ += static_cast<std::uint32_t>(count);
    frames_.clear();
    faults_.clear();
    bytes_ = 0;
  }

  static constexpr std::size_t kBatch = 16;  // ClipViews::batch

  Context& ctx_;
  const Config& config_;
  const std::vector<Clip>& clips_;
  const ScoreClips& score_;
  const std::function<void(const ScoredClip&)>& take_;
  std::vector<Frames> frames_;       // of the group's clips that can be read
  std::vector<std::string> faults_;  // of all its clips; empty: none
  std::size_t bytes_ = 0, done_ = 0;
  std::uint32_t first_sample_ = 0;
};

}  // namespace

void score_videos(Context& ctx, const Config& config, const std::vector<Clip>& clips, const ScoreClips& score,
                  const std::function<void(const ScoredClip&)>& take) {
  Predictor(ctx, config, clips, score, take).run();
}

}  // namespace mg
