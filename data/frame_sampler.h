// Which frames of a clip the network sees. A function of the clip's length and of uniform draws, so that the
// same draws give the same frames.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mg {

enum class FrameSampling {
  center,          // the middle frame of each of `wanted` equal segments of [0, length)
  segment_random,  // a random frame of each segment of a random window
  // The paper's authors' code. With L = linspace(0, length - 1, wanted + 1), frame i is drawn from the whole
  // numbers of [floor L_i, floor L_{i+1}): one a segment, the clip's last frame never. Clips of up to
  // `wanted` frames are short, in training also those of one more.
  authors_random,
};

// What is taken of a clip that is too short for one frame a segment: shorter than `wanted`, or as
// authors_random says.
enum class ShortClips {
  nearest_repeat,  // as of longer ones (for authors_random: as center), so that neighbours repeat
  loop,            // 0, 1, ..., length - 1, 0, 1, ...
  paper_random,    // the authors' code: `wanted` draws from all frames with replacement, sorted
};

struct FrameSampler {
  FrameSampling sampling = FrameSampling::center;
  ShortClips short_clips = ShortClips::nearest_repeat;
  // segment_random sees a share of the clip's length, drawn from [window, 1], at a random place; the others,
  // and the rules loop and paper_random, the whole clip.
  float window = 1;
  bool training = false;

  // False where the frames of a clip do not depend on draws.
  bool draws(std::int64_t length, int wanted) const;
};

// The numbers of the frames to take from a clip of length frames, `wanted` of them, in order. draws: 2 +
// wanted uniform numbers in [0,1): the window's length and place, then one a frame; may be empty where the
// sampler does not draw.
std::vector<std::int64_t> sample_frames(std::int64_t length, int wanted, const FrameSampler& sampler,
                                        std::span<const float> draws);

}  // namespace mg
