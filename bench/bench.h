// What a benchmark runs on, and what it is made of: jobs, each one operation in one shape, with its
// directions.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/clock.h"
#include "kernels/cuda_stream.h"
#include "kernels/view.h"

namespace mg {

// How much is measured: each run for at least so many seconds, and 7 times, after a first one that is not
// counted.
struct Effort {
  double seconds = 0.2;
  BenchClock clock = BenchClock::wall;  // of the processor; a device has events
  bool once = false;                    // one run is enough: a rehearsal
};

// Frames of a clip, and pixels of a side of each.
struct ClipExtent {
  std::int64_t frames = 16, side = 112;
};

class Bench {
 public:
  Bench(Stream s, DType type) : stream(std::move(s)), dtype(type) {}

  Stream stream;
  DType dtype;              // of activations
  std::int64_t batch = 1;   // clips; captions are 32 a clip
  std::int64_t width = 64;  // channels of R(2+1)D's first layer
  ClipExtent clip;
  // On the virtual GPU there are counts instead of times, and shapes keep their channels but have few rows.
  bool counting = false;
  // While counting, also go through what only times need: events, other libraries, the roofline.
  bool rehearsing = false;
  Effort effort;

  bool on_cuda() const { return stream.index() == 1; }
  template <class Kernel>
  void run(Kernel&& kernel) {
    std::visit(std::forward<Kernel>(kernel), stream);
  }
};

// Numbers where the stream's kernels look; copies are the same numbers. Rows of channels, pitched or dense.
class Array {
 public:
  enum class Fill { random, zeros, ones };
  Array(Bench& bench, Shape shape, DType dtype, std::int64_t pitch, Fill fill);
  // bytes as they are
  Array(Bench& bench, const void* host, std::size_t bytes);

  View view() const { return {{memory_.get(), dtype_, shape_, pitch_}}; }
  float* f32() const { return static_cast<float*>(memory_.get()); }
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }
  // What an operation has to read, and what it has to write: padding too.
  double bytes() const { return static_cast<double>(shape_.count() * size_of(dtype_)); }
  double written() const { return static_cast<double>(shape_.rows() * pitch_ * size_of(dtype_)); }
  const Shape& shape() const { return shape_; }

 private:
  std::shared_ptr<void> memory_;
  DType dtype_ = DType::u8;
  Shape shape_;
  std::int64_t pitch_ = 0;
};

// An activation or its gradient: pitched, of the bench's element type.
Array activation(Bench& bench, Shape shape, Array::Fill fill = Array::Fill::random);
// A parameter, statistic or gradient of a weight: dense fp32.
Array parameter(Bench& bench, Shape shape, Array::Fill fill = Array::Fill::random);

// The same by another library.
struct Peer {
  std::string name;  // empty: there is none here
  std::function<void()> work;
};

enum class Unit { vector, matrix };  // which of the machine's peaks its arithmetic can reach

struct Run {
  std::string direction;
  Unit unit = Unit::vector;
  double flops = 0;  // that the result needs: products with padding do not count
  double bytes = 0;  // the least that has to be moved: each input read and each output written once
  std::function<void()> work;
  Peer peer = {};
};
struct Job {
  std::string name, shape;
  int uses = 1;  // how often the network has it
  std::vector<Run> runs;
  // What another program needs to do the same, by name; empty: nobody else does it.
  std::vector<std::pair<std::string, std::int64_t>> dims = {};
};
// Made one at a time: a job holds its arrays.
using MakeJob = std::function<Job()>;

struct Operation {
  std::string name, about;
  std::function<std::vector<MakeJob>(Bench&)> jobs;
};
// In the order of bench/ops/operations.cpp.
const std::vector<Operation>& operations();

}  // namespace mg
