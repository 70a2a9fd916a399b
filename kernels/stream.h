// A stream runs kernels in order: CpuStream here, CudaStream in kernels/cuda_stream.h. CpuStream owns the
// worker threads, the instruction set that kernels dispatch on, per-worker scratch memory, and tables that
// are costly to build per geometry (indirection tables of convolutions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mg {

enum class Isa : std::uint8_t { portable, avx2, avx512 };

std::string_view to_string(Isa isa);
// The instruction sets that this machine can run, widest last; portable is always the first.
std::vector<Isa> supported_isas();

class CpuStream {
 public:
  // threads: 0 takes every core this process may use. isa: must be one of supported_isas().
  explicit CpuStream(int threads = 0, Isa isa = supported_isas().back());
  ~CpuStream();
  CpuStream(CpuStream&&) noexcept;
  CpuStream& operator=(CpuStream&&) noexcept;

  int threads() const;
  Isa isa() const;

  // Calls body(index, worker) once for every index in [0, count), worker in [0, threads()). Which worker gets
  // which index is not fixed: results must depend on the index alone, so partition work by shape and never by
  // the number of threads. Must not be nested.
  void parallel_for(std::int64_t count, const std::function<void(std::int64_t index, int worker)>& body);

  // Scratch memory, 64-byte aligned, not zeroed, valid until the next request for the same slot. worker is
  // what parallel_for passed; kShared is for the calling thread, outside of or shared by a parallel_for. A
  // slot keeps buffers of one kernel apart.
  static constexpr int kShared = -1;
  float* scratch(int worker, int slot, std::size_t floats);

  // The table stored under key, built on first use and kept as long as the stream; the least recently used go
  // first when all tables together pass 256 MiB. The pointer keeps it alive.
  std::shared_ptr<const std::vector<std::int32_t>> table(
      const std::string& key, const std::function<std::vector<std::int32_t>()>& build);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class CudaStream;  // kernels/cuda_stream.h

}  // namespace mg
