#include "data/clip_loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "data/clip_transform.h"
#include "engine/error.h"

namespace mg {

namespace {

// The sample's draws, by group of four, beside those of clip_transform.cpp.
constexpr std::uint32_t kWindowGroup = 0, kFramesGroup = 2, kShuffleGroup = 1u << 16;

// The window's two draws, then one a frame.
std::vector<float> frame_draws(const RandomKey& key, std::uint32_t sample, int frames) {
  const Philox4 window = key.draw(sample, kWindowGroup);
  std::vector<float> draws{uniform01(window.v[0]), uniform01(window.v[1])};
  for (int i = 0; i < frames; ++i) {
    const Philox4 bits = key.draw(sample, kFramesGroup + static_cast<std::uint32_t>(i) / 4);
    draws.push_back(uniform01(bits.v[i % 4]));
  }
  return draws;
}

void shuffle(std::vector<std::int64_t>& numbers, const RandomKey& key, std::uint32_t sample) {
  for (std::size_t i = numbers.size(); i > 1; --i) {
    const auto draw = static_cast<std::uint32_t>(i);
    const float u = uniform01(key.draw(sample, kShuffleGroup + draw / 4).v[draw % 4]);
    std::swap(numbers[i - 1], numbers[static_cast<std::size_t>(u * static_cast<float>(i))]);
  }
}

void check_input(const InputSpec& input, const Augmentation& a) {
  expect(input.frames >= 1 && input.frames <= 65536, "loader: expected 1 to 65536 frames, got {}",
         input.frames);
  expect(input.height >= 1 && input.width >= 1 && input.height <= 8192 && input.width <= 8192,
         "loader: expected frames of 1x1 to 8192x8192, got {}x{}", input.height, input.width);
  expect((input.resize_height == 0) == (input.resize_width == 0) && input.resize_height >= 0 &&
             input.resize_width >= 0 && input.resize_height <= 8192 && input.resize_width <= 8192,
         "loader: expected frames to be resized to 1x1 to 8192x8192, or not (0x0), got {}x{}",
         input.resize_height, input.resize_width);
  expect(input.divisor > 0, "loader: expected a divisor above 0, got {}", input.divisor);
  for (const float s : input.stddev) expect(s > 0, "loader: a standard deviation of {} is not above 0", s);
  expect(a.window > 0 && a.window <= 1, "loader: expected a window in (0, 1], got {}", a.window);
  expect(a.crop_scale > 0 && a.crop_scale <= 1, "loader: expected a crop scale in (0, 1], got {}",
         a.crop_scale);
  expect(a.brightness >= 0 && a.brightness <= 1, "loader: expected a brightness in [0, 1], got {}",
         a.brightness);
  expect(a.contrast >= 0 && a.contrast <= 1, "loader: expected a contrast in [0, 1], got {}", a.contrast);
}

// A request on its way. Workers claim its samples one by one.
struct Job {
  BatchRequest request;
  std::once_flag allocated;
  Tensor frames;
  std::vector<FrameView> views;
  // Under the loader's mutex:
  std::size_t claimed = 0, finished = 0;
  std::size_t failed_sample = 0;
  std::exception_ptr failure;  // of the first sample, in order, that failed

  std::size_t size() const { return request.clips.size(); }
  bool ready() const { return finished == size(); }
};

// One worker's buffers.
struct Scratch {
  explicit Scratch(const InputSpec& input) : transform(input) {}
  ClipTransform transform;
  std::vector<float> clip, partner;  // [T,H,W,3]
};

}  // namespace

struct ClipLoader::State {
  State(const FrameSource& frame_source, const InputSpec& input_spec, const Augmentation& how,
        Allocator& memory, BatchForm batch_form)
      : source(frame_source), input(input_spec), augmentation(how), allocator(memory), form(batch_form) {}

  void work();
  void make_sample(Job& job, std::size_t i, Scratch& scratch);
  void store_sample(Job& job, std::size_t i) const;
  void load(const Job& job, std::size_t i, ClipTransform& transform, std::vector<float>& out) const;
  std::pair<Frames, Variation> read(const Job& job, std::size_t i) const;

  const FrameSource& source;
  const InputSpec input;
  const Augmentation augmentation;
  Allocator& allocator;
  const BatchForm form;
  std::vector<std::thread> threads;

  mutable std::mutex mutex;
  std::condition_variable work_there, batch_ready;
  std::deque<std::shared_ptr<Job>> jobs;  // in request order, until they are taken
  bool stopped = false;
};

// The frames of sample i of the request, and how they are to be seen.
std::pair<Frames, Variation> ClipLoader::State::read(const Job& job, std::size_t i) const {
  const BatchRequest& r = job.request;
  const std::int64_t clip = r.clips[i];
  const auto sample = r.first_sample + static_cast<std::uint32_t>(i);
  const FrameSampler sampler{.sampling = r.augment ? input.train_sampling : input.test_sampling,
                             .short_clips = input.short_clips,
                             .window = r.augment ? augmentation.window : 1,
                             .training = r.augment};
  const std::int64_t length = source.frame_count(clip);
  std::vector<float> draws;
  if (sampler.draws(length, input.frames)) draws = frame_draws(r.key, sample, input.frames);
  auto numbers = sample_frames(length, input.frames, sampler, draws);
  if (r.shuffle_frames) shuffle(numbers, r.key, sample);
  Frames frames = source.read_frames(clip, numbers);
  const Variation variation = r.augment
                                  ? vary(input, frames.height, frames.width, augmentation, r.key, sample)
                                  : vary(input, frames.height, frames.width);
  return {std::move(frames), variation};
}

// Sample i of the request, by itself.
void ClipLoader::State::load(const Job& job, std::size_t i, ClipTransform& transform,
                             std::vector<float>& out) const {
  const auto [frames, variation] = read(job, i);
  transform.apply(frames, variation, out);
}

// The same as it is stored.
void ClipLoader::State::store_sample(Job& job, std::size_t i) const {
  const auto [frames, v] = read(job, i);
  std::call_once(job.allocated, [&, f = &frames] {
    job.views.resize(job.size());
    job.frames = Tensor(allocator, {static_cast<std::int64_t>(job.size()), f->count, f->height, f->width, 3},
                        Layout::dense, DType::u8);
  });
  expect(frames.height == job.frames.dim(2) && frames.width == job.frames.dim(3),
         "loader: stored frames of {}x{} among those of {}x{}", frames.height, frames.width,
         job.frames.dim(2), job.frames.dim(3));
  std::copy(frames.rgb.begin(), frames.rgb.end(), job.frames.as<std::uint8_t>() + i * frames.rgb.size());
  job.views[i] = {v.crop.top,     v.crop.left,  v.crop.height, v.crop.width,
                  v.flip ? 1 : 0, v.brightness, v.contrast};
}

void ClipLoader::State::make_sample(Job& job, std::size_t i, Scratch& scratch) {
  const BatchRequest& r = job.request;
  if (form == BatchForm::stored && r.partner.empty()) return store_sample(job, i);
  std::call_once(job.allocated, [&] {
    job.frames =
        Tensor(allocator, {static_cast<std::int64_t>(job.size()), input.frames, input.height, input.width, 3},
               form == BatchForm::pitched ? Layout::pitched : Layout::dense);
  });
  load(job, i, scratch.transform, scratch.clip);
  if (!r.partner.empty() && r.share[i] != 1) {
    // The partner is made a second time here rather than awaited: samples stay independent of each other.
    load(job, static_cast<std::size_t>(r.partner[i]), scratch.transform, scratch.partner);
    const float share = r.share[i];
    for (std::size_t k = 0; k < scratch.clip.size(); ++k) {
      scratch.clip[k] = share * scratch.clip[k] + (1 - share) * scratch.partner[k];
    }
  }
  const std::size_t pixels = scratch.clip.size() / 3;
  const auto pitch = static_cast<std::size_t>(job.frames.pitch());
  const float* from = scratch.clip.data();
  float* to = job.frames.f32() + i * pixels * pitch;
  for (std::size_t p = 0; p < pixels; ++p, from += 3, to += pitch) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
  }
}

void ClipLoader::State::work() {
  Scratch scratch(input);
  std::unique_lock lock(mutex);
  for (;;) {
    std::shared_ptr<Job> job;
    work_there.wait(lock, [&] {
      const auto open =
          std::find_if(jobs.begin(), jobs.end(), [](const auto& j) { return j->claimed < j->size(); });
      job = open == jobs.end() ? nullptr : *open;
      return stopped || job != nullptr;
    });
    if (stopped) return;
    const std::size_t i = job->claimed++;
    lock.unlock();
    std::exception_ptr failure;
    try {
      make_sample(*job, i, scratch);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure && (!job->failure || i < job->failed_sample)) {
      job->failure = failure;
      job->failed_sample = i;
    }
    ++job->finished;
    if (job->ready()) batch_ready.notify_all();
  }
}

bool takes_stored_frames(const InputSpec& input) {
  return input.kind == InputKind::rgb && input.resize_height == 0;
}

ClipLoader::ClipLoader(const FrameSource& source, const InputSpec& input, const Augmentation& augmentation,
                       int threads, Allocator& allocator, BatchForm form) {
  check_input(input, augmentation);
  state_ = std::make_unique<State>(source, input, augmentation, allocator, form);
  expect(form != BatchForm::stored || (source.uniform() && takes_stored_frames(input)),
         "loader: this input cannot be made of stored frames");
  for (int i = 0; i < std::max(threads, 1); ++i)
    state_->threads.emplace_back([s = state_.get()] { s->work(); });
}

ClipLoader::~ClipLoader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
  }
  state_->work_there.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void ClipLoader::request(BatchRequest request) {
  const std::size_t size = request.clips.size();
  expect(size > 0, "loader: a request without clips");
  for (const std::int64_t clip : request.clips) {
    expect(clip >= 0 && clip < state_->source.clips(), "loader: clip {} of {}", clip, state_->source.clips());
  }
  expect(request.partner.size() == request.share.size() &&
             (request.partner.empty() || request.partner.size() == size),
         "loader: {} partners and {} shares for {} clips", request.partner.size(), request.share.size(),
         size);
  for (const std::int32_t partner : request.partner) {
    expect(partner >= 0 && static_cast<std::size_t>(partner) < size, "loader: partner {} of {} clips",
           partner, size);
  }
  auto job = std::make_shared<Job>();
  job->request = std::move(request);
  {
    const std::lock_guard lock(state_->mutex);
    state_->jobs.push_back(std::move(job));
  }
  state_->work_there.notify_all();
}

Batch ClipLoader::next() {
  std::unique_lock lock(state_->mutex);
  expect(!state_->jobs.empty(), "loader: next() without a request");
  const std::shared_ptr<Job> job = state_->jobs.front();
  state_->batch_ready.wait(lock, [&] { return job->ready(); });
  state_->jobs.pop_front();
  if (job->failure) std::rethrow_exception(job->failure);
  return {std::move(job->frames), std::move(job->views), std::move(job->request.clips)};
}

std::size_t ClipLoader::in_flight() const {
  const std::lock_guard lock(state_->mutex);
  return state_->jobs.size();
}

}  // namespace mg
