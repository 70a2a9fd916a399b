// The clock of a stream in which files were joined end to end: where it jumps, what follows goes on from what
// was before, as ffmpeg's program has it.
#pragma once

#include <cstdint>

namespace mg {

constexpr std::int64_t kNoTime = INT64_MIN;  // AV_NOPTS_VALUE

class PacketTimes {
 public:
  // Timestamps count `unit` seconds; frame: how long a packet without a duration lasts, 0 when unknown.
  PacketTimes(double unit, double frame) : unit_(unit), frame_(frame) {}

  // Whether a packet of this decoding time is on another clock than those before: more than 10 s from where
  // the next one should be, or 0.1 s before the last.
  bool jumps(std::int64_t dts) const;
  // Moves a packet's times behind the jumps so far, of which it may be one. duration: 0 when unknown.
  void mend(std::int64_t& pts, std::int64_t& dts, std::int64_t duration);

 private:
  std::int64_t ticks(double seconds) const { return static_cast<std::int64_t>(seconds / unit_); }

  double unit_, frame_;
  std::int64_t offset_ = 0;  // added to what the packets say
  std::int64_t last_ = kNoTime, next_ = kNoTime;
};

}  // namespace mg
