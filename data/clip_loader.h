// From frames to batches: which frames of a clip, which part of each, and as what numbers the network sees
// them; done ahead of the training step by worker threads. All random choices are drawn from a RandomKey by
// the sample's global number, so a batch depends on nothing but its request.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/frame_sampler.h"
#include "data/frames.h"
#include "engine/tensor.h"
#include "kernels/frame_input.h"
#include "kernels/philox.h"

namespace mg {

enum class InputKind {
  rgb,     // (value / divisor - mean) / stddev, three channels
  motion,  // grey (less its mean over the clip), difference to the frame before, difference to the frame
           // after
};

// What the network sees of a clip.
struct InputSpec {
  int frames = 16;
  int height = 112, width = 112;
  // Frames are resized to this before the crop (bilinear, in fp32 and not rounded); 0: they stay as they are.
  int resize_height = 0, resize_width = 0;
  FrameSampling train_sampling = FrameSampling::segment_random, test_sampling = FrameSampling::center;
  ShortClips short_clips = ShortClips::nearest_repeat;
  InputKind kind = InputKind::rgb;
  float divisor = 255;  // 1: the authors' code, which leaves values at 0 to 255
  std::array<float, 3> mean{0.43216f, 0.394666f, 0.37645f};  // Kinetics-400, RGB, of values in [0,1]
  std::array<float, 3> stddev{0.22803f, 0.22145f, 0.216989f};
  // With kind motion: factors on grey and on the two differences, of values in [0,1].
  float grey_gain = 0.3f, motion_gain = 3;
};

// Which part of a frame is seen: a crop of the input's size where it fits, otherwise the largest of the
// input's aspect ratio, resampled (bilinear) to the input's size. It lies in the centre, or with augment at a
// random place and of another size, as the augmentation says.

// How training varies clips. All off by default, as in the paper.
struct Augmentation {
  float window = 1;  // FrameSampler::window
  // The crop's sides are multiplied by a factor drawn from [crop_scale, 1 / crop_scale] (less where the frame
  // ends), and it is resampled to the input's size.
  float crop_scale = 1;
  bool flip = false;         // mirrored left to right, half of the time
  float brightness = 0;      // values times a factor from [1 - b, 1 + b], kept within [0, 1]
  float contrast = 0;        // about the clip's mean, times a factor from [1 - c, 1 + c], kept within [0, 1]
  bool random_crop = false;  // the crop lies at a random place
};

struct BatchRequest {
  std::vector<std::int64_t> clips;  // numbers in the source
  RandomKey key;                    // what the draws are keyed by
  std::uint32_t first_sample = 0;   // the global number of clips[0]'s sample
  bool augment = false;  // training: train_sampling and the augmentation; else test_sampling, centre crop
  bool shuffle_frames = false;  // the frames in random order: shows how much a model needs the order
  // Mixup (Zhang et al. 2018): sample i becomes share[i] x_i + (1 - share[i]) x_partner[i]. Empty: none.
  std::vector<std::int32_t> partner;
  std::vector<float> share;
};

// What a loader makes of a batch.
enum class BatchForm {
  pitched,  // the network's input, fp32, as kernels read it
  dense,    // the same without the padding, for a device that adds it
  stored,   // frames as they are stored, for a device that makes the input of them: a quarter of the bytes or
            // less
};

struct Batch {
  Tensor frames;                    // [B,T,H,W,3]; of a stored batch u8, in the stored size
  std::vector<FrameView> views;     // of a stored batch: how each sample is seen
  std::vector<std::int64_t> clips;  // as requested
};

// Whether a device can make this input of stored frames by itself (kernels/frame_input.h).
bool takes_stored_frames(const InputSpec& input);

class ClipLoader {
 public:
  // allocator must be usable from several threads and outlive the loader, as must source. The form stored
  // needs a source that is uniform() and an input of takes_stored_frames(); a request with partners is made
  // dense then.
  ClipLoader(const FrameSource& source, const InputSpec& input, const Augmentation& augmentation, int threads,
             Allocator& allocator, BatchForm form = BatchForm::pitched);
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
