// A CUDA device and a stream on it: what CUDA kernels run on. It owns device memory for their workspaces and
// tables, pinned staging for copies, and a second stream for copies beside the computation. Copies of a
// CudaStream are the same stream. Nothing here waits for the device unless it says so, and each call that
// does is counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "kernels/stream.h"

namespace mg {

// A device that can't be used, or that failed.
class CudaError : public std::runtime_error {
 public:
  enum class Kind : std::uint8_t { unusable, out_of_memory, failed };
  CudaError(Kind error_kind, const std::string& text) : std::runtime_error(text), kind_(error_kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

struct CudaDevice {
  std::string name;
  int architecture = 0;  // 80, 90
  int multiprocessors = 0;
  std::size_t memory = 0;  // bytes
};

// Why no CUDA device of this machine can be used; empty: one can.
std::string why_no_cuda();

class CudaStream {
 public:
  // CudaError(unusable) says what is missing: a device, a newer driver, or this architecture in the build.
  explicit CudaStream(int device = 0);

  const CudaDevice& device() const;
  std::size_t free_memory() const;  // bytes that the device could still give
  void* handle() const;             // the cudaStream_t

  // Let fp32 products run on tensor cores with operands rounded to 10 bits (tf32). Off by default.
  void set_tf32(bool on);
  bool tf32() const;
  // Matrix products and convolutions by the vendor's libraries instead of our kernels, where they can. Off by
  // default.
  void set_vendor(bool on);
  bool vendor() const;

  // Device memory, at least 256-byte aligned. CudaError(out_of_memory). Blocks: for what is kept.
  void* allocate(std::size_t bytes);
  void release(void* memory) noexcept;
  // Memory for kernels that are launched next, valid until the next request for the same slot; not zeroed. A
  // slot keeps buffers of one launcher apart.
  static constexpr int kWorkspaces = 8;
  void* workspace(int slot, std::size_t bytes);
  // Device memory kept under key, filled once by fill(memory), which launches or uploads; the least recently
  // used go when all together pass 256 MiB.
  void* table(const std::string& key, std::size_t bytes, const std::function<void(void* memory)>& fill);

  // In the order of the stream; the host's bytes may be reused at once (they pass through pinned memory).
  void upload(void* device, const void* host, std::size_t bytes);
  void zero(void* device, std::size_t bytes);
  // Waits for all that is in the stream.
  void download(void* host, const void* device, std::size_t bytes);
  void synchronize();

  // A few bytes on their way to the host, in the order of the stream: read late, and the wait is short or
  // none.
  class Read;
  std::shared_ptr<Read> read_later(const void* device, std::size_t bytes);  // at most 256
  const void* wait(Read& read);

  // Host memory that the device copies from at full speed; null when there is none left to pin.
  static void* pin(std::size_t bytes);
  static void unpin(void* memory) noexcept;
  // A copy from pinned memory on the second stream, beside what runs in this one. It starts when all that
  // this stream was given so far is done (device may have been in use until then); what is launched here
  // after use(transfer) waits for it. Keeps source alive until it is over.
  class Transfer;
  std::shared_ptr<Transfer> transfer(void* device, std::shared_ptr<void> source, std::size_t bytes);
  void use(Transfer& transfer);

  // Calls so far that waited for the device: synchronize, download, allocate, release, and wait or upload
  // that found it not ready.
  std::int64_t blocking_calls() const;
  std::int64_t launches() const;
  // Writes what is put on the two streams to log, in order: "launch NAME", "copy", "record main 3", "wait
  // side 3". Null: no more.
  void trace(std::vector<std::string>* log);

  // For kernels/cuda: what a vendor's library keeps for this stream from one call to the next, null at first.
  static constexpr int kLibraries = 2;
  std::shared_ptr<void>& library(int slot);
  // Times kernels from now on, by an event behind each: a time is that since the kernel before, so that what
  // the device waited for the host is in it too. Costs some time itself.
  void time_launches(bool on);
  struct LaunchTime {
    std::string name;
    float ms;
  };
  std::vector<LaunchTime> take_launch_times();  // of the launches since the last call; waits for them

  // For kernels/cuda: notes a launch. name is the kernel's.
  void launched(const char* name);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

#if defined(MG_CUDA)
using Stream = std::variant<CpuStream, CudaStream>;
#else
using Stream = std::variant<CpuStream>;
#endif

}  // namespace mg
