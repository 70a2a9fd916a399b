#include "kernels/stream.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <cstdlib>
#include <list>
#include <new>
#include <optional>

namespace mg {

std::string_view to_string(Isa isa) {
  switch (isa) {
    case Isa::portable:
      return "portable";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas{Isa::portable};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    isas.push_back(Isa::avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd")) {
      isas.push_back(Isa::avx512);
    }
  }
#endif
  return isas;
}

namespace {

constexpr std::size_t kTableBytesKept = std::size_t{256} << 20;

struct Free {
  void operator()(void* p) const { std::free(p); }
};

struct ScratchBuffer {
  std::unique_ptr<float, Free> data;
  std::size_t floats = 0;

  float* grow(std::size_t wanted) {
    if (wanted > floats) {
      data.reset();
      const std::size_t bytes = (wanted * sizeof(float) + 4095) / 4096 * 4096;
      data.reset(static_cast<float*>(std::aligned_alloc(4096, bytes)));
      if (!data) throw std::bad_alloc();
      floats = bytes / sizeof(float);
    }
    return data.get();
  }
};

}  // namespace

struct CpuStream::State {
  State(int thread_count, Isa chosen)
      : arena(thread_count), isa(chosen), buffers(static_cast<std::size_t>(thread_count) + 1) {}

  using Table = std::shared_ptr<const std::vector<std::int32_t>>;

  std::optional<tbb::global_control> more_workers;
  tbb::task_arena arena;
  Isa isa;
  std::vector<std::vector<ScratchBuffer>> buffers;  // [1 + worker][slot]
  std::list<std::pair<std::string, Table>> tables;  // most recently used first
  std::size_t table_bytes = 0;
};

CpuStream::CpuStream(int threads, Isa isa) {
  const int cores = tbb::this_task_arena::max_concurrency();
  state_ = std::make_unique<State>(threads > 0 ? threads : cores, isa);
  if (threads > cores) {  // TBB otherwise caps every arena at the number of cores
    state_->more_workers.emplace(tbb::global_control::max_allowed_parallelism,
                                 static_cast<std::size_t>(threads));
  }
  state_->arena.initialize();
  for (auto& slots : state_->buffers) slots.resize(8);
}
CpuStream::~CpuStream() = default;
CpuStream::CpuStream(CpuStream&&) noexcept = default;
CpuStream& CpuStream::operator=(CpuStream&&) noexcept = default;

int CpuStream::threads() const { return static_cast<int>(state_->buffers.size()) - 1; }
Isa CpuStream::isa() const { return state_->isa; }

void CpuStream::parallel_for(std::int64_t count, const std::function<void(std::int64_t, int)>& body) {
  if (count <= 0) return;
  if (threads() == 1 || count == 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  state_->arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::int64_t>(0, count, 1),
        [&](const tbb::blocked_range<std::int64_t>& range) {
          const int worker = tbb::this_task_arena::current_thread_index();
          for (std::int64_t i = range.begin(); i < range.end(); ++i) body(i, worker);
        },
        tbb::simple_partitioner());
  });
}

float* CpuStream::scratch(int worker, int slot, std::size_t floats) {
  auto& slots = state_->buffers.at(static_cast<std::size_t>(worker) + 1);
  return slots.at(static_cast<std::size_t>(slot)).grow(floats);
}

std::shared_ptr<const std::vector<std::int32_t>> CpuStream::table(
    const std::string& key, const std::function<std::vector<std::int32_t>()>& build) {
  auto& tables = state_->tables;
  for (auto it = tables.begin(); it != tables.end(); ++it) {
    if (it->first == key) {
      tables.splice(tables.begin(), tables, it);
      return tables.front().second;
    }
  }
  auto made = std::make_shared<const std::vector<std::int32_t>>(build());
  state_->table_bytes += made->size() * sizeof(std::int32_t);
  tables.emplace_front(key, made);
  while (state_->table_bytes > kTableBytesKept && tables.size() > 1) {
    state_->table_bytes -= tables.back().second->size() * sizeof(std::int32_t);
    tables.pop_back();
  }
  return made;
}

}  // namespace mg
