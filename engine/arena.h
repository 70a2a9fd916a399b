// Memory that is reused step after step: freed blocks are kept by size and handed out again, so that after
// the first step training asks the system for nothing. Large blocks are aligned to 2 MiB and ask for huge
// pages (page faults cost more than half of a CPU training step otherwise). Tensors keep the arena's pool
// alive, so they may outlive the Arena. On a device a block may be handed out again while kernels that use it
// are still to run: what uses it next comes after them in the same stream.
#pragma once

#include <cstdint>

#include "engine/tensor.h"

namespace mg {

class Arena : public Allocator {
 public:
  Arena();  // of the host's memory
  explicit Arena(std::shared_ptr<BlockSource> source);
  explicit Arena(const std::shared_ptr<DeviceMemory>& device);
  std::shared_ptr<void> allocate(std::size_t bytes) override;
  const std::shared_ptr<DeviceMemory>& device() const override { return device_; }

  struct Statistics {
    std::int64_t system_allocations = 0;  // blocks ever asked of the system
    std::size_t bytes_held = 0;           // in use or kept for reuse
    std::size_t bytes_in_use = 0;
    std::size_t peak_in_use = 0;
  };
  Statistics statistics() const;

  struct Pool;

 private:
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<DeviceMemory> device_;
};

}  // namespace mg
