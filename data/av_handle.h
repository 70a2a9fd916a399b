// Owners of FFmpeg's objects: Handle<AVFrame, av_frame_free>.
#pragma once

#include <memory>
#include <string>
#include <type_traits>

namespace mg {

template <auto free_function>
struct FreeBy {
  template <class T>
  void operator()(T* object) const {
    if constexpr (std::is_invocable_v<decltype(free_function), T**>) {
      free_function(&object);
    } else {
      free_function(object);
    }
  }
};
template <class T, auto free_function>
using Handle = std::unique_ptr<T, FreeBy<free_function>>;

// FFmpeg writes nothing to the terminal from here on; its last message of an error in this thread is kept, as
// it says more than the error's number. No single allocation of FFmpeg's is larger than 1 GiB.
void keep_av_messages();
// Since then, on this thread, a demuxer has reported an error. It may well go on behind the damage and return
// none.
bool demuxer_reported_error();
// "moov atom not found (Invalid data found when processing input)"; forgets the message.
std::string av_error_text(int error);

}  // namespace mg
