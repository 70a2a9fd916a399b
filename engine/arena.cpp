#include "engine/arena.h"

#include <sys/mman.h>

#include <bit>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace mg {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Eight sizes per power of two: at most 12.5 % of a block is waste, and sizes that differ a little share
// blocks.
std::size_t block_size(std::size_t bytes) {
  if (bytes <= 512) return 512;
  const std::size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

// The host's memory.
class HugePages : public BlockSource {
 public:
  void* allocate(std::size_t bytes) override {
    const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* block = std::aligned_alloc(alignment, rounded);
    if (block != nullptr && alignment == kHugePage) madvise(block, rounded, MADV_HUGEPAGE);
    return block;
  }
  void release(void* block) noexcept override { std::free(block); }
};

}  // namespace

struct Arena::Pool {
  explicit Pool(std::shared_ptr<BlockSource> s) : source(std::move(s)) {}
  ~Pool() { release_free(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void release_free() {
    for (auto& [size, blocks] : free_blocks) {
      for (void* block : blocks) source->release(block);
      statistics.bytes_held -= size * blocks.size();
      blocks.clear();
    }
  }
  void* new_block(std::size_t size) {
    void* block = source->allocate(size);
    if (block == nullptr) {  // what is kept for reuse may have the wrong sizes only
      release_free();
      block = source->allocate(size);
    }
    if (block == nullptr) return nullptr;
    ++statistics.system_allocations;
    statistics.bytes_held += size;
    return block;
  }

  std::shared_ptr<BlockSource> source;
  std::mutex mutex;
  std::unordered_map<std::size_t, std::vector<void*>> free_blocks;
  Statistics statistics;
};

Arena::Arena() : Arena(std::make_shared<HugePages>()) {}
Arena::Arena(std::shared_ptr<BlockSource> source) : pool_(std::make_shared<Pool>(std::move(source))) {}
Arena::Arena(const std::shared_ptr<DeviceMemory>& device)
    : pool_(std::make_shared<Pool>(device)), device_(device) {}

std::shared_ptr<void> Arena::allocate(std::size_t bytes) {
  const std::size_t size = block_size(bytes + 64);
  std::lock_guard lock(pool_->mutex);
  auto& blocks = pool_->free_blocks[size];
  void* block = nullptr;
  if (blocks.empty()) {
    block = pool_->new_block(size);
    if (block == nullptr) {
      throw Error(ExitCode::out_of_memory, "out of {}memory: {} bytes wanted, {} in use",
                  device_ ? "GPU " : "", bytes, pool_->statistics.bytes_in_use);
    }
  } else {
    block = blocks.back();
    blocks.pop_back();
  }
  Statistics& s = pool_->statistics;
  s.bytes_in_use += size;
  s.peak_in_use = std::max(s.peak_in_use, s.bytes_in_use);
  return {block, [pool = pool_, size](void* p) {
            std::lock_guard guard(pool->mutex);
            pool->free_blocks[size].push_back(p);
            pool->statistics.bytes_in_use -= size;
          }};
}

Arena::Statistics Arena::statistics() const {
  std::lock_guard lock(pool_->mutex);
  return pool_->statistics;
}

}  // namespace mg
