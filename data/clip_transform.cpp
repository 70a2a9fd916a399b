#include "data/clip_transform.h"

#include <algorithm>
#include <cmath>

#include "data/frame_resize.h"
#include "engine/error.h"

namespace mg {

namespace {

// The sample's draws, by group of four: 0 is window length, window place, flip, crop size (sample_frames
// reads the first two); this is the second group.
constexpr std::uint32_t kPlaceGroup = 1;  // crop's top, crop's left, brightness, contrast

// Values are added up in fp32 over a row and in double over rows.
double mean_of(const std::vector<float>& values, std::size_t row) {
  double sum = 0;
  for (std::size_t at = 0; at < values.size(); at += row) {
    float part = 0;
    const std::size_t end = std::min(values.size(), at + row);
    for (std::size_t i = at; i < end; ++i) part += values[i];
    sum += part;
  }
  return sum / static_cast<double>(values.size());
}

// value = clamp(value * scale + shift) within what 8 bits can hold.
void scale_clamped(std::vector<float>& values, float scale, float shift) {
  for (float& v : values) v = std::clamp(v * scale + shift, 0.0f, 255.0f);
}

void mirror_row(float* row, int width) {
  for (int a = 0, b = width - 1; a < b; ++a, --b) {
    for (int c = 0; c < 3; ++c) std::swap(row[3 * a + c], row[3 * b + c]);
  }
}

struct Size {
  int height, width;
};

// Of the frames that crops are taken from.
Size cropped_size(const InputSpec& input, int stored_height, int stored_width) {
  if (input.resize_height == 0) return {stored_height, stored_width};
  return {input.resize_height, input.resize_width};
}

// The side of the crop that is neither random nor scaled, as a factor on the input's sides.
double base_factor(const InputSpec& input, int height, int width) {
  return std::min(
      {1.0, static_cast<double>(height) / input.height, static_cast<double>(width) / input.width});
}

Crop sized_crop(const InputSpec& input, int height, int width, double factor) {
  auto side = [&](int wanted, int stored) {
    return std::clamp(static_cast<int>(std::lround(factor * wanted)), 1, stored);
  };
  return {0, 0, side(input.height, height), side(input.width, width)};
}

// As Python rounds, ties to even.
int half(int difference) { return static_cast<int>(std::nearbyint(difference / 2.0)); }

void center(Crop& crop, int height, int width) {
  crop.top = half(height - crop.height);
  crop.left = half(width - crop.width);
}

}  // namespace

Variation vary(const InputSpec& input, int stored_height, int stored_width) {
  const auto [height, width] = cropped_size(input, stored_height, stored_width);
  Variation v;
  v.crop = sized_crop(input, height, width, base_factor(input, height, width));
  center(v.crop, height, width);
  return v;
}

Variation vary(const InputSpec& input, int stored_height, int stored_width, const Augmentation& augmentation,
               const RandomKey& key, std::uint32_t sample) {
  const auto [height, width] = cropped_size(input, stored_height, stored_width);
  const Philox4 first = key.draw(sample, 0), place = key.draw(sample, kPlaceGroup);
  const double largest =
      std::min(static_cast<double>(height) / input.height, static_cast<double>(width) / input.width);
  const double base = base_factor(input, height, width);
  const double least = base * augmentation.crop_scale,
               most = std::min(base / augmentation.crop_scale, largest);
  Variation v;
  v.crop = sized_crop(input, height, width, least + uniform01(first.v[3]) * (most - least));
  if (augmentation.random_crop) {
    v.crop.top = static_cast<int>(uniform01(place.v[0]) * static_cast<float>(height - v.crop.height + 1));
    v.crop.left = static_cast<int>(uniform01(place.v[1]) * static_cast<float>(width - v.crop.width + 1));
  } else {
    center(v.crop, height, width);
  }
  v.flip = augmentation.flip && uniform01(first.v[2]) < 0.5f;
  v.brightness = 1 + augmentation.brightness * (2 * uniform01(place.v[2]) - 1);
  v.contrast = 1 + augmentation.contrast * (2 * uniform01(place.v[3]) - 1);
  return v;
}

ClipTransform::ClipTransform(const InputSpec& input) : input_(input) {
  for (int x = 0; x < input.width; ++x) {
    for (std::size_t c = 0; c < 3; ++c) {
      row_scale_.push_back(1 / (input.divisor * input.stddev[c]));
      row_shift_.push_back(-input.mean[c] / input.stddev[c]);
    }
  }
}

ClipTransform::~ClipTransform() = default;

template <class Elem>
void ClipTransform::crop(const Elem* frame, int frame_width, const Crop& crop, float* out) const {
  const std::int64_t stride = std::int64_t{frame_width} * 3;
  const Elem* corner = frame + crop.top * stride + std::int64_t{crop.left} * 3;
  const int row = input_.width * 3;
  if (crop.height == input_.height && crop.width == input_.width) {
    for (int y = 0; y < input_.height; ++y) {
      const Elem* __restrict source = corner + y * stride;
      float* __restrict target = out + std::ptrdiff_t{y} * row;
      for (int x = 0; x < row; ++x) target[x] = source[x];
    }
  } else {
    FrameResizer resizer(crop.height, crop.width, input_.height, input_.width, ResizeFilter::bilinear);
    resizer.resize(RgbWindow{corner, crop.height, crop.width, stride}, out);
  }
}

const float* ClipTransform::resized(const Frames& frames, std::int64_t frame) {
  if (!resizer_ || frames.height != stored_height_ || frames.width != stored_width_) {
    stored_height_ = frames.height;
    stored_width_ = frames.width;
    resizer_ = std::make_unique<FrameResizer>(frames.height, frames.width, input_.resize_height,
                                              input_.resize_width, ResizeFilter::bilinear);
    resized_.resize(std::size_t{3} * static_cast<std::size_t>(input_.resize_height) *
                    static_cast<std::size_t>(input_.resize_width));
  }
  resizer_->resize(
      RgbWindow{frames.frame(frame), frames.height, frames.width, std::int64_t{frames.width} * 3},
      resized_.data());
  return resized_.data();
}

// out: [H,W,3], values of 0 to 255.
void ClipTransform::view_frame(const Frames& frames, std::int64_t frame, const Variation& variation,
                               float* out) {
  if (input_.resize_height == 0) {
    crop(frames.frame(frame), frames.width, variation.crop, out);
  } else {
    crop(resized(frames, frame), input_.resize_width, variation.crop, out);
  }
  if (!variation.flip) return;
  const std::ptrdiff_t row = std::ptrdiff_t{3} * input_.width;
  for (int y = 0; y < input_.height; ++y) mirror_row(out + y * row, input_.width);
}

void ClipTransform::normalize(std::vector<float>& values) const {
  const std::size_t row = row_scale_.size();
  const float *scale = row_scale_.data(), *shift = row_shift_.data();
  for (std::size_t at = 0; at < values.size(); at += row) {
    float* __restrict v = values.data() + at;
    for (std::size_t x = 0; x < row; ++x) v[x] = v[x] * scale[x] + shift[x];
  }
}

// Grey by ITU-R BT.601, and its differences to the frames before and after.
void ClipTransform::to_motion(std::vector<float>& values) {
  const std::size_t pixels = static_cast<std::size_t>(input_.height) * static_cast<std::size_t>(input_.width);
  const std::size_t frames = values.size() / (3 * pixels);
  grey_.resize(frames * pixels);
  for (std::size_t i = 0; i < grey_.size(); ++i) {
    const float* rgb = values.data() + 3 * i;
    grey_[i] = (0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]) * (1 / 255.0f);
  }
  const auto mean = static_cast<float>(mean_of(grey_, static_cast<std::size_t>(input_.width)));
  for (std::size_t t = 0; t < frames; ++t) {
    const float* now = grey_.data() + t * pixels;
    const float* before = t > 0 ? now - pixels : now;
    const float* after = t + 1 < frames ? now + pixels : now;
    float* __restrict out = values.data() + t * pixels * 3;
    for (std::size_t i = 0; i < pixels; ++i) {
      out[3 * i] = input_.grey_gain * (now[i] - mean);
      out[3 * i + 1] = input_.motion_gain * (now[i] - before[i]);
      out[3 * i + 2] = input_.motion_gain * (after[i] - now[i]);
    }
  }
}

void ClipTransform::apply(const Frames& frames, const Variation& variation, std::vector<float>& out) {
  expect(frames.count == input_.frames, "clip: expected {} frames, got {}", input_.frames, frames.count);
  const std::size_t row = static_cast<std::size_t>(input_.width) * 3;
  const std::size_t frame = static_cast<std::size_t>(input_.height) * row;
  out.resize(frame * static_cast<std::size_t>(frames.count));
  for (std::int64_t t = 0; t < frames.count; ++t) {
    view_frame(frames, t, variation, out.data() + static_cast<std::size_t>(t) * frame);
  }
  if (variation.brightness != 1) scale_clamped(out, variation.brightness, 0);
  if (variation.contrast != 1) {
    const auto mean = static_cast<float>(mean_of(out, row));
    scale_clamped(out, variation.contrast, mean * (1 - variation.contrast));
  }
  input_.kind == InputKind::rgb ? normalize(out) : to_motion(out);
}

}  // namespace mg
