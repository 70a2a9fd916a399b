// What a program runs on: the processor or a GPU, and how numbers are held.
#pragma once

#include <optional>
#include <string>

#include "data/clip_loader.h"
#include "engine/context.h"
#include "train/config.h"

namespace mg {

// What the command line says in place of the configuration.
struct MachineOptions {
  std::optional<int> threads;
  std::optional<std::string> device;  // auto, cpu, cuda
};

// A context on the device and in the precision that the configuration asks for, with its seed. Says on stderr
// in one line what computes, unless say is false. Error when a GPU is asked for and none can be used.
Context make_context(const Config& config, const MachineOptions& options = {}, bool say = true);

// "NVIDIA H100 (sm_90, 132 multiprocessors, 79 GiB)" or "the processor, 2 threads, avx512".
std::string device_text(const Context& ctx);

// A loader whose batches the context's device can take quickly.
ClipLoader make_loader(Context& ctx, const FrameSource& source, const Config& config);

// The batches of a loader where kernels can read them, as activations. On a GPU the next batch is copied
// while the present one is computed.
class InputBatches {
 public:
  InputBatches(Context& ctx, ClipLoader& loader, const Config& config);
  Batch next();
  // Starts the copy of the next batch, should one be requested: call it when the work on the present one is
  // launched.
  void copy_ahead();

 private:
  struct Ahead {
    Batch batch;
    std::function<void()> use;  // makes the stream wait for the copy; empty: no copy
  };
  Ahead start();
  Tensor input_of(const Tensor& stored, const std::vector<FrameView>& views) const;

  Context& ctx_;
  ClipLoader& loader_;
  InputSpec input_;
  std::optional<Ahead> ahead_;
};

}  // namespace mg
