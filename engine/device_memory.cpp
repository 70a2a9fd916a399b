#include "engine/device_memory.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mg {

namespace {

class PlannedMemory : public DeviceMemory {
 public:
  void* allocate(std::size_t bytes) override {
    const std::uintptr_t at = next_;
    next_ += (bytes + 4095) / 4096 * 4096;
    return reinterpret_cast<void*>(at);  // NOLINT(performance-no-int-to-ptr): never looked at
  }
  void release(void*) noexcept override {}
  void upload(void*, const void*, std::size_t) override {}
  void download(void* host, const void*, std::size_t bytes) override {
    std::fill_n(static_cast<char*>(host), bytes, '\0');
  }
  void zero(void*, std::size_t) override {}
  std::function<void()> upload_beside(void*, std::shared_ptr<void>, std::size_t) override {
    return [] {};
  }
  std::function<const void*()> read_later(const void*, std::size_t bytes) override {
    return [zeros = std::vector<char>(bytes)]() -> const void* { return zeros.data(); };
  }

 private:
  std::uintptr_t next_ = 4096;
};

#if defined(MG_CUDA)

class CudaMemory : public DeviceMemory {
 public:
  explicit CudaMemory(const CudaStream& stream) : stream_(stream) {}
  void* allocate(std::size_t bytes) override {
    try {
      return stream_.allocate(bytes);
    } catch (const CudaError& e) {
      if (e.kind() == CudaError::Kind::out_of_memory) return nullptr;
      throw;
    }
  }
  void release(void* block) noexcept override { stream_.release(block); }
  void upload(void* device, const void* host, std::size_t bytes) override {
    stream_.upload(device, host, bytes);
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    stream_.download(host, device, bytes);
  }
  void zero(void* device, std::size_t bytes) override { stream_.zero(device, bytes); }
  std::function<void()> upload_beside(void* device, std::shared_ptr<void> host, std::size_t bytes) override {
    return [stream = stream_, transfer = stream_.transfer(device, std::move(host), bytes)]() mutable {
      stream.use(*transfer);
    };
  }
  std::function<const void*()> read_later(const void* device, std::size_t bytes) override {
    return
        [stream = stream_, read = stream_.read_later(device, bytes)]() mutable { return stream.wait(*read); };
  }

 private:
  CudaStream stream_;
};

class PinnedMemory : public BlockSource {
 public:
  explicit PinnedMemory(const CudaStream& stream) : stream_(stream) {}
  void* allocate(std::size_t bytes) override { return stream_.pin(bytes); }
  void release(void* block) noexcept override { stream_.unpin(block); }

 private:
  CudaStream stream_;
};

#endif

}  // namespace

std::shared_ptr<DeviceMemory> planned_memory() { return std::make_shared<PlannedMemory>(); }

#if defined(MG_CUDA)
std::shared_ptr<DeviceMemory> cuda_memory(const CudaStream& stream) {
  return std::make_shared<CudaMemory>(stream);
}
std::shared_ptr<BlockSource> pinned_memory(const CudaStream& stream) {
  return std::make_shared<PinnedMemory>(stream);
}
#endif

}  // namespace mg
