#include "data/av_handle.h"

extern "C" {
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
}

#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace mg {

namespace {

// A file may ask for memory in what it says of its pictures before their size is checked; 8192 x 8192 pixels
// of the widest format take half of this.
constexpr std::size_t kMaxAllocation = std::size_t{1} << 30;

// Decoding runs on the caller's thread, so that the message belongs to the call that failed.
thread_local std::array<char, 256> last_message{};
thread_local bool demuxer_failed = false;

bool is_demuxer(void* object) {
  const AVClass* kind = object == nullptr ? nullptr : *static_cast<const AVClass**>(object);
  if (kind == nullptr) return false;
  const AVClassCategory category =
      kind->get_category != nullptr ? kind->get_category(object) : kind->category;
  return category == AV_CLASS_CATEGORY_DEMUXER;
}

void keep_message(void* object, int level, const char* format, std::va_list args) {
  if (level > AV_LOG_ERROR) return;
  std::vsnprintf(last_message.data(), last_message.size(), format, args);
  demuxer_failed = demuxer_failed || is_demuxer(object);
}

}  // namespace

void keep_av_messages() {
  static std::once_flag once;
  std::call_once(once, [] {
    av_log_set_callback(keep_message);
    av_max_alloc(kMaxAllocation);
  });
  last_message[0] = '\0';
  demuxer_failed = false;
}

bool demuxer_reported_error() { return demuxer_failed; }

std::string av_error_text(int error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> name{};
  av_strerror(error, name.data(), name.size());
  std::string message = last_message.data();
  last_message[0] = '\0';
  while (!message.empty() && (message.back() == '\n' || message.back() == '.')) message.pop_back();
  return message.empty() ? name.data() : message + " (" + name.data() + ")";
}

}  // namespace mg
