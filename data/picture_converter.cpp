#include "data/picture_converter.h"

extern "C" {
#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <cmath>
#include <cstring>

#include "data/av_handle.h"
#include "engine/error.h"

namespace mg {

namespace {

using FrameHandle = Handle<AVFrame, av_frame_free>;

// Where plane pixels are, and how many bytes one takes.
struct Plane {
  std::uint8_t* data;
  std::int64_t stride;
  int height, width;
};

// The bytes of a pixel of each plane; false where the format's planes cannot be turned one by one.
bool plane_steps(const AVPixFmtDescriptor& format, bool turned, std::array<int, 4>& steps) {
  if ((format.flags & (AV_PIX_FMT_FLAG_BITSTREAM | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_HWACCEL)) != 0) {
    return false;
  }
  if (turned && format.log2_chroma_w != format.log2_chroma_h) return false;
  steps.fill(0);
  for (int c = 0; c < format.nb_components; ++c) {
    int& step = steps[static_cast<std::size_t>(format.comp[c].plane)];
    if (step != 0 && step != format.comp[c].step) return false;
    step = format.comp[c].step;
  }
  return true;
}

Plane plane_of(const AVFrame& frame, const AVPixFmtDescriptor& format, int plane) {
  const bool chroma = plane == 1 || plane == 2;
  const int w = chroma ? format.log2_chroma_w : 0, h = chroma ? format.log2_chroma_h : 0;
  return {frame.data[plane], frame.linesize[plane], AV_CEIL_RSHIFT(frame.height, h),
          AV_CEIL_RSHIFT(frame.width, w)};
}

template <int step>
void turn_plane(const Plane& from, const Orientation& o, const Plane& to) {
  for (int y = 0; y < to.height; ++y) {
    // The source of (y, 0), and the way to the source of (y, 1).
    int row = y, column = 0;
    std::int64_t row_step = 0, column_step = 1;
    if (o.rotation == 90) {
      row = from.height - 1, column = y, row_step = -1, column_step = 0;
    } else if (o.rotation == 270) {
      row = 0, column = from.width - 1 - y, row_step = 1, column_step = 0;
    }
    if (o.flip_left_right) column = from.width - 1 - column, column_step = -column_step;
    if (o.flip_up_down) row = from.height - 1 - row, row_step = -row_step;
    const std::uint8_t* source = from.data + row * from.stride + std::int64_t{column} * step;
    std::uint8_t* target = to.data + y * to.stride;
    const std::int64_t advance = row_step * from.stride + column_step * step;
    for (int x = 0; x < to.width; ++x, source += advance, target += step) std::memcpy(target, source, step);
  }
}

bool turn_plane_of(int step, const Plane& from, const Orientation& o, const Plane& to) {
  switch (step) {
    case 1:
      turn_plane<1>(from, o, to);
      return true;
    case 2:
      turn_plane<2>(from, o, to);
      return true;
    case 3:
      turn_plane<3>(from, o, to);
      return true;
    case 4:
      turn_plane<4>(from, o, to);
      return true;
    case 6:
      turn_plane<6>(from, o, to);
      return true;
    case 8:
      turn_plane<8>(from, o, to);
      return true;
    default:
      return false;
  }
}

FrameHandle new_frame(int format, int width, int height) {
  FrameHandle frame(av_frame_alloc());
  if (!frame) return nullptr;
  frame->format = format;
  frame->width = width;
  frame->height = height;
  // Rows come padded: swscale's vector code falls back to other arithmetic where it must not write past a
  // row.
  return av_frame_get_buffer(frame.get(), 0) < 0 ? nullptr : std::move(frame);
}

// nullptr where the format's planes cannot be turned one by one.
FrameHandle turn(const AVFrame& picture, const Orientation& o) {
  const auto* format = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(picture.format));
  std::array<int, 4> steps{};
  if (format == nullptr || !plane_steps(*format, o.turned(), steps)) return nullptr;
  FrameHandle turned = new_frame(picture.format, o.turned() ? picture.height : picture.width,
                                 o.turned() ? picture.width : picture.height);
  if (!turned || av_frame_copy_props(turned.get(), &picture) < 0) return nullptr;
  for (int p = 0; p < 4 && steps[static_cast<std::size_t>(p)] != 0; ++p) {
    if (!turn_plane_of(steps[static_cast<std::size_t>(p)], plane_of(picture, *format, p), o,
                       plane_of(*turned, *format, p))) {
      return nullptr;
    }
  }
  return turned;
}

// What the conversion depends on beside the pixels.
struct Conversion {
  int format = -1;
  PictureSize from, to;
  AVColorRange range = AVCOL_RANGE_UNSPECIFIED;
  AVColorSpace space = AVCOL_SPC_UNSPECIFIED;
  friend bool operator==(const Conversion&, const Conversion&) = default;
};

using Scaler = Handle<SwsContext, sws_freeContext>;

// Set up as ffmpeg's scale filter is, with its default flags.
Scaler new_scaler(const Conversion& kind) {
  Scaler scaler(sws_alloc_context());
  if (!scaler) return nullptr;
  auto set = [&](const char* name, std::int64_t value) { av_opt_set_int(scaler.get(), name, value, 0); };
  set("srcw", kind.from.width);
  set("srch", kind.from.height);
  set("dstw", kind.to.width);
  set("dsth", kind.to.height);
  set("src_format", kind.format);
  set("dst_format", AV_PIX_FMT_RGB24);
  set("sws_flags", SWS_BICUBIC);
  if (kind.range != AVCOL_RANGE_UNSPECIFIED) set("src_range", kind.range == AVCOL_RANGE_JPEG);
  // MPEG-2's place of the chroma samples, by convention.
  if (kind.format == AV_PIX_FMT_YUV420P) set("src_v_chr_pos", 128);
  if (sws_init_context(scaler.get(), nullptr, nullptr) < 0) return nullptr;

  int *inverse = nullptr, *table = nullptr;
  int in_full = 0, out_full = 0, brightness = 0, contrast = 0, saturation = 0;
  if (sws_getColorspaceDetails(scaler.get(), &inverse, &in_full, &table, &out_full, &brightness, &contrast,
                               &saturation) < 0) {
    return scaler;  // no conversion between YUV and RGB is involved
  }
  const bool known =
      kind.space >= AVCOL_SPC_BT709 && kind.space <= AVCOL_SPC_BT2020_CL && kind.space != AVCOL_SPC_YCGCO;
  const int* coefficients = sws_getCoefficients(known ? kind.space : AVCOL_SPC_BT470BG);
  if (kind.range != AVCOL_RANGE_UNSPECIFIED) in_full = kind.range == AVCOL_RANGE_JPEG;
  sws_setColorspaceDetails(scaler.get(), coefficients, in_full, coefficients, out_full, brightness, contrast,
                           saturation);
  return scaler;
}

// Converts pictures of one kind after the other.
class RgbScaler {
 public:
  // picture as RGB of a size; nullptr when swscale cannot.
  const AVFrame* scale(const AVFrame& picture, PictureSize to) {
    if (to == PictureSize{}) to = {picture.height, picture.width};
    const Conversion wanted{
        picture.format, {picture.height, picture.width}, to, picture.color_range, picture.colorspace};
    if (!scaler_ || !(wanted == kind_)) {
      scaler_ = new_scaler(wanted);
      rgb_ = new_frame(AV_PIX_FMT_RGB24, to.width, to.height);
      kind_ = wanted;
    }
    const bool done = scaler_ && rgb_ &&
                      sws_scale(scaler_.get(), picture.data, picture.linesize, 0, picture.height, rgb_->data,
                                rgb_->linesize) == to.height;
    return done ? rgb_.get() : nullptr;
  }

 private:
  Conversion kind_;
  Scaler scaler_;
  FrameHandle rgb_;
};

}  // namespace

Orientation orientation_of(const std::int32_t* m) {
  if (m == nullptr) return {};
  double theta = -std::round(av_display_rotation_get(m));
  if (!std::isfinite(theta)) return {};
  theta -= 360 * std::floor(theta / 360 + 0.9 / 360);
  Orientation o;
  if (std::fabs(theta - 90) < 1) {
    o = {false, m[3] > 0, 90};
  } else if (std::fabs(theta - 180) < 1) {
    o = {m[0] < 0, m[4] < 0, 0};
  } else if (std::fabs(theta - 270) < 1) {
    o = {false, m[3] < 0, 270};
  } else if (std::fabs(theta) < 1) {
    o = {false, m[4] < 0, 0};
  }
  return o;
}

struct PictureConverter::State {
  RgbScaler converter, turned_scaler;
};

PictureConverter::PictureConverter() : state_(std::make_unique<State>()) {}
PictureConverter::~PictureConverter() = default;
PictureConverter::PictureConverter(PictureConverter&&) noexcept = default;

std::string PictureConverter::convert(const AVFrame& picture, const Orientation& orientation,
                                      PictureSize scaled, std::vector<std::uint8_t>& rgb) {
  FrameHandle turned;
  if (!orientation.upright()) turned = turn(picture, orientation);
  const bool turn_rgb = !orientation.upright() && !turned;
  const AVFrame* upright =
      state_->converter.scale(turned ? *turned : picture, turn_rgb ? PictureSize{} : scaled);
  if (turn_rgb && upright != nullptr) {
    turned = turn(*upright, orientation);
    if (!turned) return "out of memory";
    upright = scaled == PictureSize{} ? turned.get() : state_->turned_scaler.scale(*turned, scaled);
  }
  if (upright == nullptr) {
    const char* name = av_get_pix_fmt_name(static_cast<AVPixelFormat>(picture.format));
    return fmt::format("cannot convert pixel format {} of {}x{} to RGB{}", name == nullptr ? "?" : name,
                       picture.width, picture.height,
                       scaled == PictureSize{} ? "" : fmt::format(" of {}x{}", scaled.width, scaled.height));
  }
  const std::size_t row = static_cast<std::size_t>(upright->width) * 3;
  rgb.resize(row * static_cast<std::size_t>(upright->height));
  for (int y = 0; y < upright->height; ++y) {
    std::memcpy(rgb.data() + static_cast<std::size_t>(y) * row,
                upright->data[0] + std::int64_t{y} * upright->linesize[0], row);
  }
  return "";
}

}  // namespace mg
