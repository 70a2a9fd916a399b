// From frames to batches: which frames of a clip, which part of each, and as what numbers the network sees
// them; done ahead of the training step by worker threads. All random choices are drawn from a RandomKey by
// the sample's global number, so a batch depends on nothing but its request.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/frames.h"
#include "engine/tensor.h"
#include "kernels/philox.h"

namespace mg {

enum class InputKind {
  rgb,     // (value / 255 - mean) / stddev, three channels
  motion,  // grey (less its mean over the clip), difference to the frame before, difference to the frame
           // after
};

// What the network sees of a clip.
struct InputSpec {
  int frames = 16;
  int height = 112, width = 112;
  InputKind kind = InputKind::rgb;
  std::array<float, 3> mean{0.43216f, 0.394666f, 0.37645f};  // Kinetics-400, RGB, of values in [0,1]
  std::array<float, 3> stddev{0.22803f, 0.22145f, 0.216989f};
  // With kind motion: factors on grey and on the two differences, of values in [0,1].
  float grey_gain = 0.3f, motion_gain = 3;
};

// Which part of a stored frame is seen: a crop of the input's size where it fits, otherwise the largest of
// the input's aspect ratio, resampled (bilinear) to the input's size. It lies in the centre, or with augment
// at a random place and, by crop_scale, of another size.

// How training varies clips, beside the random place of the crop. All off by default, as in the paper.
struct Augmentation {
  float window = 1;  // a share of the clip's length, drawn from [window, 1], is seen, at a random place
  // The crop's sides are multiplied by a factor drawn from [crop_scale, 1 / crop_scale] (less where the frame
  // ends), and it is resampled to the input's size.
  float crop_scale = 1;
  bool flip = false;     // mirrored left to right, half of the time
  float brightness = 0;  // values times a factor from [1 - b, 1 + b], kept within [0, 1]
  float contrast = 0;    // about the clip's mean, times a factor from [1 - c, 1 + c], kept within [0, 1]
};

enum class FrameSampling {
  center,          // the middle frame of each of `frames` equal segments
  segment_random,  // a random frame of each segment
};

// The numbers of the frames to take from a clip of length frames: segments of [0, length), or of a random
// window of it. Clips shorter than `wanted` repeat their nearest frame. draws: 2 + wanted uniform numbers in
// [0,1): the window's length and place, then one a frame; not read for center, which sees the whole clip.
std::vector<std::int64_t> sample_frames(std::int64_t length, int wanted, FrameSampling sampling, float window,
                                        std::span<const float> draws);

struct BatchRequest {
  std::vector<std::int64_t> clips;  // numbers in the source
  RandomKey key;                    // what the draws are keyed by
  std::uint32_t first_sample = 0;   // the global number of clips[0]'s sample
  bool augment = false;             // segment_random and the augmentation; else center frames, centre crop
  bool shuffle_frames = false;      // the frames in random order: shows how much a model needs the order
  // Mixup (Zhang et al. 2018): sample i becomes share[i] x_i + (1 - share[i]) x_partner[i]. Empty: none.
  std::vector<std::int32_t> partner;
  std::vector<float> share;
};

struct Batch {
  Tensor frames;                    // [B,T,H,W,3], pitched
  std::vector<std::int64_t> clips;  // as requested
};

class ClipLoader {
 public:
  // allocator must be usable from several threads and outlive the loader, as must source.
  ClipLoader(const FrameSource& source, const InputSpec& input, const Augmentation& augmentation, int threads,
             Allocator& allocator);
  ~ClipLoader();
  ClipLoader(const ClipLoader&) = delete;
  ClipLoader& operator=(const ClipLoader&) = delete;

  // Queues a request; work on it starts at once. Keep a few in flight.
  void request(BatchRequest request);
  // The batch of the oldest request not yet taken, in request order. Rethrows what went wrong in making it.
  Batch next();
  std::size_t in_flight() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mg
