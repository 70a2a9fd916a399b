#include <fmt/core.h>

#include <algorithm>

#include "bench/commands.h"
#include "bench/setup.h"
#include "data/clip_loader.h"
#include "data/clip_transform.h"
#include "data/frame_cache.h"
#include "data/frame_sampler.h"
#include "data/synth/synth.h"

namespace mg {

namespace {

constexpr int kLeastRuns = 3;

struct Stage {
  std::string name;
  double clips_per_second = 0, mbytes_per_second = 0;
};

// Passes over the clips, of which the best counts: others use the disk and the cores too.
template <class Pass>
Stage best_pass(const std::string& name, double seconds, Pass pass) {
  Stage stage{name};
  const double first = now(BenchClock::wall);
  for (int runs = 0; runs < kLeastRuns || now(BenchClock::wall) - first < seconds; ++runs) {
    const double begin = now(BenchClock::wall);
    const auto [clips, bytes] = pass();
    const double took = now(BenchClock::wall) - begin;
    stage.clips_per_second = std::max(stage.clips_per_second, static_cast<double>(clips) / took);
    stage.mbytes_per_second = std::max(stage.mbytes_per_second, static_cast<double>(bytes) / took / 1e6);
  }
  return stage;
}

struct Passed {
  std::int64_t clips = 0;
  std::size_t bytes = 0;
};

Passed read_all(const FrameSource& frames, const InputSpec& input) {
  Passed passed;
  for (std::int64_t i = 0; i < frames.clips(); ++i) {
    const auto numbers =
        sample_frames(frames.frame_count(i), input.frames, {.sampling = input.test_sampling}, {});
    passed.bytes += frames.read_frames(i, numbers).rgb.size();
    ++passed.clips;
  }
  return passed;
}

Passed transform_all(const MemoryFrames& sampled, const InputSpec& input, const Augmentation& augmentation) {
  ClipTransform transform(input);
  std::vector<float> out;
  Passed passed;
  for (std::int64_t i = 0; i < sampled.clips(); ++i) {
    const Frames frames = sampled.read(i);
    transform.apply(
        frames,
        vary(input, frames.height, frames.width, augmentation, {1, 0, 1}, static_cast<std::uint32_t>(i)),
        out);
    passed.bytes += out.size() * sizeof(float);
    ++passed.clips;
  }
  return passed;
}

Passed load_all(const FrameSource& frames, const InputSpec& input, const Augmentation& augmentation,
                int threads, std::int64_t batch) {
  ClipLoader loader(frames, input, augmentation, threads, heap_allocator());
  std::int64_t next = 0;
  const auto request = [&] {
    BatchRequest r;
    for (; next < frames.clips() && static_cast<std::int64_t>(r.clips.size()) < batch; ++next)
      r.clips.push_back(next);
    r.key = {1, 0, 1};
    r.augment = true;
    if (!r.clips.empty()) loader.request(std::move(r));
  };
  for (int i = 0; i < 3; ++i) request();
  Passed passed;
  while (loader.in_flight() > 0) {
    const Batch made = loader.next();
    request();
    passed.clips += static_cast<std::int64_t>(made.clips.size());
    passed.bytes += made.frames.bytes();
  }
  return passed;
}

// A manifest's clips, or gestures that are rendered once into the folder.
std::filesystem::path manifest_of(const BenchOptions& options) {
  if (!options.manifest.empty()) return options.manifest;
  SynthOptions synth;
  synth.out = options.out / "synth";
  synth.clips = 60;
  synth.threads = CpuStream(options.threads).threads();
  return make_synthetic_data(synth).manifest;
}

}  // namespace

void bench_data(const BenchOptions& options) {
  const int threads = CpuStream(options.threads).threads();
  const std::int64_t batch = options.batch > 0 ? options.batch : 8;
  const Manifest manifest = read_manifest(manifest_of(options));
  CacheBuild build;
  build.manifest = manifest.path, build.clips = manifest.clips, build.threads = threads;
  std::vector<Stage> stages;
  const auto path = options.out / "frames.h5";
  std::filesystem::create_directories(options.out);
  std::filesystem::remove(path);
  const double begin = now(BenchClock::wall);
  const FrameCache cache = FrameCache::open(path, build);
  const double decoding = now(BenchClock::wall) - begin;
  std::size_t decoded = 0;
  for (std::int64_t i = 0; i < cache.clips(); ++i)
    decoded += static_cast<std::size_t>(cache.frame_count(i) * build.spec.height * build.spec.width * 3);
  stages.push_back({fmt::format("decode and cache, {} threads", threads),
                    static_cast<double>(cache.clips()) / decoding,
                    static_cast<double>(decoded) / decoding / 1e6});

  const InputSpec input;
  const Augmentation augmentation{
      .crop_scale = 0.8F, .flip = true, .brightness = 0.2F, .contrast = 0.2F, .random_crop = true};
  stages.push_back(
      best_pass("read 16 frames from the cache", options.seconds, [&] { return read_all(cache, input); }));
  std::vector<Frames> sampled;
  for (std::int64_t i = 0; i < cache.clips(); ++i) {
    sampled.push_back(cache.read_frames(
        i, sample_frames(cache.frame_count(i), input.frames, {.sampling = input.test_sampling}, {})));
  }
  const MemoryFrames memory(std::move(sampled));
  stages.push_back(best_pass("crop and normalise, 1 thread", options.seconds,
                             [&] { return transform_all(memory, input, {}); }));
  stages.push_back(best_pass("the same, augmented", options.seconds,
                             [&] { return transform_all(memory, input, augmentation); }));
  stages.push_back(best_pass(fmt::format("loader, {} threads, batches of {}", threads, batch),
                             options.seconds,
                             [&] { return load_all(cache, input, augmentation, threads, batch); }));

  fmt::print("{} clips to 16 x 112 x 112 from frames of {} x {}\n", cache.clips(), build.spec.height,
             build.spec.width);
  fmt::print("{:<40} {:>10} {:>10}\n", "", "clips/s", "MB/s");
  nlohmann::ordered_json json{{"clips", cache.clips()}, {"threads", threads}, {"batch", batch}};
  for (const Stage& stage : stages) {
    fmt::print("{:<40} {:>10.1f} {:>10.1f}\n", stage.name, stage.clips_per_second, stage.mbytes_per_second);
    json["stages"].push_back({{"stage", stage.name},
                              {"clips_per_second", stage.clips_per_second},
                              {"mbytes_per_second", stage.mbytes_per_second}});
  }
  write_file(options.json, json.dump(2) + "\n");
}

}  // namespace mg
