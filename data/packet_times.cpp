#include "data/packet_times.h"

#include <cmath>

namespace mg {

namespace {
constexpr double kForward = 10, kBackward = 0.1;  // seconds
// What a broken file may not go beyond: sums of these stay whole numbers of 64 bits.
constexpr std::int64_t kLargest = std::int64_t{1} << 60, kLongest = std::int64_t{1} << 40;
}  // namespace

bool PacketTimes::jumps(std::int64_t dts) const {
  if (dts == kNoTime || next_ == kNoTime || std::abs(dts) > kLargest || std::abs(next_) > kLargest)
    return false;
  const auto now = static_cast<double>(dts + offset_);
  return std::fabs(now - static_cast<double>(next_)) * unit_ > kForward ||
         (static_cast<double>(last_) - now) * unit_ > kBackward;
}

void PacketTimes::mend(std::int64_t& pts, std::int64_t& dts, std::int64_t duration) {
  if (jumps(dts)) offset_ = next_ - dts;
  if (pts != kNoTime && std::abs(pts) <= kLargest) pts += offset_;
  if (dts != kNoTime && std::abs(dts) <= kLargest) {
    dts += offset_;
    last_ = dts;
  } else if (next_ == kNoTime) {
    return;
  } else {
    last_ = next_;
  }
  const std::int64_t lasts = duration > 0 && duration < kLongest ? duration : ticks(frame_);
  next_ = last_ + lasts;
}

}  // namespace mg
