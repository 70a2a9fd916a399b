#include "data/ts_joint.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

namespace mg {

namespace {

constexpr int kSync = 0x47, kPat = 0, kSdt = 17;
constexpr std::int64_t kWindow = 1 << 20;  // bytes before the packet that are looked at

struct TsPacket {
  int pid = 0, counter = 0;
  bool has_payload = false;
};

TsPacket parse(const unsigned char* p) { return {(p[1] & 0x1f) << 8 | p[2], p[3] & 15, (p[3] & 0x10) != 0}; }

// The distance of packets that have their sync bytes in all of the bytes, the last of them at the end; 0:
// none.
std::size_t packet_bytes(const std::vector<unsigned char>& bytes) {
  for (const std::size_t size : {std::size_t{188}, std::size_t{192}, std::size_t{204}}) {
    bool all = bytes.size() >= 2 * size;
    for (std::size_t back = 188; all && back <= bytes.size() && back <= 188 + 8 * size; back += size) {
      all = bytes[bytes.size() - back] == kSync;
    }
    if (all) return size;
  }
  return 0;
}

}  // namespace

bool follows_joint(const std::string& file, std::int64_t position) {
  std::ifstream stream(file, std::ios::binary);
  const std::int64_t from = std::max<std::int64_t>(0, position - kWindow);
  // Up to the end of the packet at position.
  std::vector<unsigned char> bytes(
      static_cast<std::size_t>(std::max<std::int64_t>(0, position - from) + 188));
  stream.seekg(from);
  if (position < 0 ||
      !stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()))) {
    return false;
  }
  const std::size_t size = packet_bytes(bytes);
  if (size == 0) return false;
  const std::size_t last = bytes.size() - 188;
  const int own_pid = parse(bytes.data() + last).pid;

  // Backwards: up to the stream's packet before, and on to the tables before that.
  std::array<int, 2> after{-1, -1}, before{-1, -1};  // counters of PAT and SDT, next to that packet
  bool own_seen = false;
  for (std::size_t back = size; back <= last && bytes[last - back] == kSync; back += size) {
    const TsPacket packet = parse(bytes.data() + last - back);
    own_seen = own_seen || packet.pid == own_pid;
    if (!packet.has_payload || (packet.pid != kPat && packet.pid != kSdt)) continue;
    const std::size_t table = packet.pid == kPat ? 0 : 1;
    if (!own_seen) {
      after[table] = packet.counter;
    } else if (before[table] < 0) {
      before[table] = packet.counter;
    }
  }
  const auto breaks = [&](std::size_t table) {
    return after[table] >= 0 && before[table] >= 0 && after[table] != ((before[table] + 1) & 15);
  };
  return after[0] >= 0 && (breaks(0) || breaks(1));
}

}  // namespace mg
