// Memory that an Arena hands out in pieces, and memory that the host cannot touch: a GPU's.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "kernels/cuda_stream.h"

namespace mg {

// Where an arena gets its blocks.
class BlockSource {
 public:
  BlockSource() = default;
  virtual ~BlockSource() = default;
  BlockSource(const BlockSource&) = delete;
  BlockSource& operator=(const BlockSource&) = delete;
  // Null: there is none left. At least 64-byte aligned.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* block) noexcept = 0;
};

// Copies are in the order of the device's stream.
class DeviceMemory : public BlockSource {
 public:
  // The host's bytes may be reused at once.
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;  // waits
  virtual void zero(void* device, std::size_t bytes) = 0;
  // Starts a copy from memory of pinned_memory() beside what the stream computes, into memory that is free
  // once all that the stream was given so far is done. The function returned makes the stream wait for it,
  // and keeps host alive.
  virtual std::function<void()> upload_beside(void* device, std::shared_ptr<void> host,
                                              std::size_t bytes) = 0;
  // Starts a copy of at most 256 bytes to the host; the function returned waits for it, and its pointer is
  // valid as long as that function lives.
  virtual std::function<const void*()> read_later(const void* device, std::size_t bytes) = 0;
};

#if defined(MG_CUDA)
std::shared_ptr<DeviceMemory> cuda_memory(const CudaStream& stream);
// Host memory from which the device copies at full speed.
std::shared_ptr<BlockSource> pinned_memory(const CudaStream& stream);
#endif
// Addresses without memory, for finding out how much a step needs: nothing may be read or written there,
// uploads do nothing, and what is read is zero.
std::shared_ptr<DeviceMemory> planned_memory();

}  // namespace mg
