#include <algorithm>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda_stream.h"

#ifndef MG_CUDA_ARCHITECTURES  // what this build has code for, as CMake lists it
#define MG_CUDA_ARCHITECTURES "?"
#endif

namespace mg {

namespace cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const auto kind =
      error == cudaErrorMemoryAllocation ? CudaError::Kind::out_of_memory : CudaError::Kind::failed;
  throw CudaError(kind, std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

}  // namespace cuda

using cuda::check;

namespace {

constexpr std::size_t kTableBytesKept = std::size_t{256} << 20;
constexpr std::size_t kStagingHalf = std::size_t{8} << 20;
constexpr std::size_t kReadBytes = 256;
constexpr int kReadSlots = 64;
constexpr int kLeastArchitecture = 80;

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// The number of devices, or why there is none.
int device_count(std::string& why) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();  // it does not stay behind
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (error == cudaErrorInsufficientDriver && driver > 0) {
    why = "the NVIDIA driver is too old: it supports CUDA " + version_text(driver) +
          ", this program needs CUDA " + version_text(runtime);
  } else if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice || error == cudaSuccess) {
    why = "no NVIDIA GPU was found on this machine";
  } else {
    why = std::string("the GPU cannot be used: ") + cudaGetErrorString(error);
  }
  return 0;
}

CudaDevice describe(int device) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device), "cudaGetDeviceProperties");
  return {p.name, p.major * 10 + p.minor, p.multiProcessorCount, p.totalGlobalMem};
}

std::string why_not(const CudaDevice& device) {
  if (device.architecture >= kLeastArchitecture) return {};
  return device.name + " is of compute capability " + std::to_string(device.architecture / 10) + "." +
         std::to_string(device.architecture % 10) + "; this program needs 8.0 or newer (it was built for " +
         MG_CUDA_ARCHITECTURES + ")";
}

// An event that goes with its owner.
class Event {
 public:
  explicit Event(unsigned flags = cudaEventDisableTiming) {
    check(cudaEventCreateWithFlags(&event_, flags), "cudaEventCreate");
  }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

std::string why_no_cuda() {
  std::string why;
  if (device_count(why) == 0) return why;
  return why_not(describe(0));
}

struct CudaStream::State {
  explicit State(int number) : device_number(number) {
    std::string why;
    const int count = device_count(why);
    if (count > 0 && number >= count) {
      why = "GPU " + std::to_string(number) + " was asked for, but there are only " + std::to_string(count);
    }
    if (!why.empty()) throw CudaError(CudaError::Kind::unusable, why);
    check(cudaSetDevice(number), "cudaSetDevice");
    device = describe(number);
    why = why_not(device);
    if (!why.empty()) throw CudaError(CudaError::Kind::unusable, why);
    check(cudaStreamCreateWithFlags(&main, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaMallocHost(&staging, 2 * kStagingHalf), "cudaMallocHost");
    check(cudaMallocHost(&reads, kReadBytes * kReadSlots), "cudaMallocHost");
    for (int i = kReadSlots; i-- > 0;) free_reads.push_back(i);
  }
  ~State() {
    // Nothing here may throw; a device that has failed answers every call with its error.
    cudaStreamSynchronize(side);
    cudaStreamSynchronize(main);
    for (auto& w : workspaces) cudaFree(w.memory);
    for (auto& t : tables) cudaFree(t.memory);
    cudaFreeHost(staging);
    cudaFreeHost(reads);
    cudaStreamDestroy(side);
    cudaStreamDestroy(main);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void record(cudaEvent_t event, cudaStream_t on) {
    check(cudaEventRecord(event, on), "cudaEventRecord");
    note((on == main ? "record main " : "record side ") + name_of(event));
  }
  void stream_waits(cudaStream_t waiter, cudaEvent_t event) {
    check(cudaStreamWaitEvent(waiter, event, 0), "cudaStreamWaitEvent");
    note((waiter == main ? "wait main " : "wait side ") + name_of(event));
  }
  void host_waits(cudaEvent_t event) {
    const cudaError_t state = cudaEventQuery(event);
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) check(state, "cudaEventQuery");
    ++blocking;
    check(cudaEventSynchronize(event), "cudaEventSynchronize");
  }
  void note(const std::string& entry) {
    if (log != nullptr) log->push_back(entry);
  }
  void mark(const std::string& name) {
    timed.emplace_back(name, std::make_unique<Event>(cudaEventDefault));
    check(cudaEventRecord(*timed.back().second, main), "cudaEventRecord");
  }
  std::string name_of(cudaEvent_t event) {
    if (log == nullptr) return {};
    const auto at = std::find(named_events.begin(), named_events.end(), event);
    if (at != named_events.end()) return std::to_string(at - named_events.begin());
    named_events.push_back(event);
    return std::to_string(named_events.size() - 1);
  }

  struct Workspace {
    void* memory = nullptr;
    std::size_t bytes = 0;
  };
  struct Table {
    std::string key;
    void* memory;
    std::size_t bytes;
  };

  int device_number;
  CudaDevice device;
  cudaStream_t main = nullptr, side = nullptr;
  bool tf32 = false, vendor = false;
  std::shared_ptr<void> libraries[kLibraries];
  std::int64_t blocking = 0, launches = 0;
  Workspace workspaces[kWorkspaces];
  std::list<Table> tables;  // most recently used first
  std::size_t table_bytes = 0;
  // Uploads pass through two halves: one is filled while the copies from the other end.
  void* staging = nullptr;
  std::size_t staged = 0;
  int half = 0;
  Event half_done[2];
  void* reads = nullptr;
  std::vector<int> free_reads;
  std::vector<std::string>* log = nullptr;
  std::vector<cudaEvent_t> named_events;
  bool times = false;
  std::vector<std::pair<std::string, std::unique_ptr<Event>>> timed;  // the first is where time begins
};

CudaStream::CudaStream(int device) : state_(std::make_shared<State>(device)) {}

const CudaDevice& CudaStream::device() const { return state_->device; }
std::size_t CudaStream::free_memory() const {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return free;
}
void* CudaStream::handle() const { return state_->main; }
void CudaStream::set_tf32(bool on) { state_->tf32 = on; }
bool CudaStream::tf32() const { return state_->tf32; }
void CudaStream::set_vendor(bool on) { state_->vendor = on; }
bool CudaStream::vendor() const { return state_->vendor; }
std::shared_ptr<void>& CudaStream::library(int slot) { return state_->libraries[slot]; }
std::int64_t CudaStream::blocking_calls() const { return state_->blocking; }
std::int64_t CudaStream::launches() const { return state_->launches; }
void CudaStream::trace(std::vector<std::string>* log) { state_->log = log; }
void CudaStream::launched(const char* name) {
  ++state_->launches;
  if (state_->log != nullptr) state_->note(std::string("launch ") + name);
  if (state_->times) state_->mark(name);
}

void CudaStream::time_launches(bool on) {
  state_->times = on;
  state_->timed.clear();
  if (on) state_->mark({});
}

std::vector<CudaStream::LaunchTime> CudaStream::take_launch_times() {
  synchronize();
  std::vector<LaunchTime> times;
  auto& timed = state_->timed;
  for (std::size_t i = 1; i < timed.size(); ++i) {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, *timed[i - 1].second, *timed[i].second), "cudaEventElapsedTime");
    times.push_back({timed[i].first, ms});
  }
  time_launches(state_->times);
  return times;
}

void* CudaStream::allocate(std::size_t bytes) {
  ++state_->blocking;
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, std::max<std::size_t>(bytes, 1));
  if (error == cudaErrorMemoryAllocation) cudaGetLastError();  // it is answered here and does not stay behind
  check(error, "cudaMalloc");
  return memory;
}

void CudaStream::release(void* memory) noexcept {
  if (memory == nullptr) return;
  ++state_->blocking;
  cudaFree(memory);
}

void* CudaStream::workspace(int slot, std::size_t bytes) {
  State::Workspace& w = state_->workspaces[slot];
  if (bytes <= w.bytes) return w.memory;
  // In the stream's order: kernels that still use the old one are done before it goes. Doubled, so that
  // growth ends.
  const std::size_t size = std::max(bytes, 2 * w.bytes);
  if (w.memory != nullptr) check(cudaFreeAsync(w.memory, state_->main), "cudaFreeAsync");
  w = {};
  check(cudaMallocAsync(&w.memory, size, state_->main), "cudaMallocAsync");
  w.bytes = size;
  return w.memory;
}

void* CudaStream::table(const std::string& key, std::size_t bytes, const std::function<void(void*)>& fill) {
  auto& tables = state_->tables;
  for (auto it = tables.begin(); it != tables.end(); ++it) {
    if (it->key == key) {
      tables.splice(tables.begin(), tables, it);
      return it->memory;
    }
  }
  void* memory = nullptr;
  check(cudaMallocAsync(&memory, std::max<std::size_t>(bytes, 1), state_->main), "cudaMallocAsync");
  tables.push_front({key, memory, bytes});
  state_->table_bytes += bytes;
  fill(memory);
  while (state_->table_bytes > kTableBytesKept && tables.size() > 1) {
    check(cudaFreeAsync(tables.back().memory, state_->main), "cudaFreeAsync");
    state_->table_bytes -= tables.back().bytes;
    tables.pop_back();
  }
  return memory;
}

void CudaStream::upload(void* device, const void* host, std::size_t bytes) {
  State& s = *state_;
  const auto* from = static_cast<const char*>(host);
  auto* to = static_cast<char*>(device);
  while (bytes > 0) {
    if (s.staged == kStagingHalf) {
      s.record(s.half_done[s.half], s.main);
      s.half ^= 1;
      s.staged = 0;
      s.host_waits(s.half_done[s.half]);
    }
    const std::size_t part = std::min(bytes, kStagingHalf - s.staged);
    char* staged = static_cast<char*>(s.staging) + static_cast<std::size_t>(s.half) * kStagingHalf + s.staged;
    std::memcpy(staged, from, part);
    check(cudaMemcpyAsync(to, staged, part, cudaMemcpyHostToDevice, s.main), "copy to the device");
    s.note("copy");
    s.staged = std::min(kStagingHalf, (s.staged + part + 63) / 64 * 64);
    from += part;
    to += part;
    bytes -= part;
  }
}

void CudaStream::zero(void* device, std::size_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(device, 0, bytes, state_->main), "cudaMemset");
}

void CudaStream::download(void* host, const void* device, std::size_t bytes) {
  ++state_->blocking;
  if (bytes > 0) {
    check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, state_->main), "copy to the host");
  }
  check(cudaStreamSynchronize(state_->main), "cudaStreamSynchronize");
}

void CudaStream::synchronize() {
  ++state_->blocking;
  check(cudaStreamSynchronize(state_->main), "cudaStreamSynchronize");
}

class CudaStream::Read {
 public:
  explicit Read(std::shared_ptr<State> state) : state_(std::move(state)) {
    if (state_->free_reads.empty()) {
      throw CudaError(CudaError::Kind::failed,
                      "CUDA: more than " + std::to_string(kReadSlots) + " reads in flight");
    }
    slot_ = state_->free_reads.back();
    state_->free_reads.pop_back();
  }
  ~Read() {
    cudaEventSynchronize(done);  // the slot is written until then
    state_->free_reads.push_back(slot_);
  }
  Read(const Read&) = delete;
  Read& operator=(const Read&) = delete;
  void* memory() const {
    return static_cast<char*>(state_->reads) + static_cast<std::size_t>(slot_) * kReadBytes;
  }
  Event done;

 private:
  std::shared_ptr<State> state_;
  int slot_;
};

std::shared_ptr<CudaStream::Read> CudaStream::read_later(const void* device, std::size_t bytes) {
  if (bytes > kReadBytes) throw CudaError(CudaError::Kind::failed, "CUDA: read_later is for small reads");
  auto read = std::make_shared<Read>(state_);
  check(cudaMemcpyAsync(read->memory(), device, bytes, cudaMemcpyDeviceToHost, state_->main),
        "copy to the host");
  state_->record(read->done, state_->main);
  return read;
}

const void* CudaStream::wait(Read& read) {
  state_->host_waits(read.done);
  return read.memory();
}

void* CudaStream::pin(std::size_t bytes) {
  void* memory = nullptr;
  if (cudaMallocHost(&memory, std::max<std::size_t>(bytes, 1)) == cudaSuccess) return memory;
  cudaGetLastError();  // it is answered here and does not stay behind
  return nullptr;
}
void CudaStream::unpin(void* memory) noexcept { cudaFreeHost(memory); }

class CudaStream::Transfer {
 public:
  ~Transfer() {
    if (source) cudaEventSynchronize(arrived);
  }
  Event started, arrived;
  std::shared_ptr<void> source;
};

std::shared_ptr<CudaStream::Transfer> CudaStream::transfer(void* device, std::shared_ptr<void> source,
                                                           std::size_t bytes) {
  State& s = *state_;
  auto t = std::make_shared<Transfer>();
  s.record(t->started, s.main);
  s.stream_waits(s.side, t->started);
  check(cudaMemcpyAsync(device, source.get(), bytes, cudaMemcpyHostToDevice, s.side), "copy to the device");
  s.note("copy side");
  t->source = std::move(source);
  s.record(t->arrived, s.side);
  return t;
}

void CudaStream::use(Transfer& transfer) { state_->stream_waits(state_->main, transfer.arrived); }

}  // namespace mg
