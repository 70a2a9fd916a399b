#include <memory>

#include "bench/cuda/events.h"
#include "kernels/cuda/launch.cuh"

namespace mg {

namespace {

class TimedEvent {
 public:
  TimedEvent() { cuda::check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~TimedEvent() { cudaEventDestroy(event_); }
  TimedEvent(const TimedEvent&) = delete;
  TimedEvent& operator=(const TimedEvent&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

std::vector<double> device_times(CudaStream& stream, const std::function<void()>& work, int runs) {
  const auto handle = static_cast<cudaStream_t>(stream.handle());
  std::vector<std::unique_ptr<TimedEvent>> events;
  for (int i = 0; i <= runs; ++i) events.push_back(std::make_unique<TimedEvent>());
  cuda::check(cudaEventRecord(*events[0], handle), "cudaEventRecord");
  for (int i = 0; i < runs; ++i) {
    work();
    cuda::check(cudaEventRecord(*events[static_cast<std::size_t>(i) + 1], handle), "cudaEventRecord");
  }
  stream.synchronize();
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    float ms = 0;
    const auto at = static_cast<std::size_t>(i);
    cuda::check(cudaEventElapsedTime(&ms, *events[at], *events[at + 1]), "cudaEventElapsedTime");
    times.push_back(ms);
  }
  return times;
}

}  // namespace mg
