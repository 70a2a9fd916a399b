#include "train/machine.h"

#include <algorithm>
#include <cstdio>
#include <span>

#include "train/settings.h"

namespace mg {

namespace {

// A stream on the GPU; throws Error with the reason why not.
#if defined(MG_CUDA)
std::optional<Stream> gpu_stream(std::string& why) {
  why = why_no_cuda();
  if (!why.empty()) return {};
  return Stream(CudaStream());
}
#else
std::optional<Stream> gpu_stream(std::string& why) {
  why = "this program was built without CUDA";
  return {};
}
#endif

// why: where the processor takes a GPU's place, the reason.
Stream make_stream(const std::string& device, int threads, bool tf32, std::string& why) {
  if (device != "cpu") {
    if (auto stream = gpu_stream(why)) {
#if defined(MG_CUDA)
      std::get<CudaStream>(*stream).set_tf32(tf32);
#else
      static_cast<void>(tf32);
#endif
      return std::move(*stream);
    }
    if (device == "cuda") throw Error(ExitCode::failure, "device cuda: {}", why);
  }
  return CpuStream(threads);
}

}  // namespace

Context make_context(const Config& config, const MachineOptions& options, bool say) {
  const std::string device = options.device.value_or(config.text("device")),
                    &precision = config.text("precision");
  std::string why;
  Context ctx(
      make_stream(device, options.threads.value_or(config.small("threads")), precision == "tf32", why));
  if (precision == "bf16") ctx.activations = DType::bf16;
#if defined(MG_CUDA)
  if (auto* cuda = std::get_if<CudaStream>(&ctx.stream)) cuda->set_vendor(config.flag("cuda.libraries"));
#endif
  ctx.seed = static_cast<std::uint64_t>(config.integer("seed"));
  if (say) {
    std::fprintf(stderr, "device: %s, %s%s\n", device_text(ctx).c_str(), precision.c_str(),
                 why.empty() ? "" : (" (no GPU: " + why + ")").c_str());
  }
  return ctx;
}

std::string device_text(const Context& ctx) {
#if defined(MG_CUDA)
  if (const auto* cuda = std::get_if<CudaStream>(&ctx.stream)) {
    const CudaDevice& d = cuda->device();
    return fmt::format("{} (sm_{}, {} multiprocessors, {:.0f} GiB)", d.name, d.architecture,
                       d.multiprocessors, static_cast<double>(d.memory) / (1 << 30));
  }
#endif
  const auto& cpu = std::get<CpuStream>(ctx.stream);
  return fmt::format("the processor, {} thread{}, {}", cpu.threads(), cpu.threads() == 1 ? "" : "s",
                     to_string(cpu.isa()));
}

ClipLoader make_loader(Context& ctx, const FrameSource& source, const Config& config) {
  const InputSpec input = input_spec(config);
  BatchForm form = BatchForm::pitched;
  if (ctx.on_device()) {
    form = source.uniform() && takes_stored_frames(input) ? BatchForm::stored : BatchForm::dense;
  }
  return {source, input, augmentation(config), loader_threads(config), ctx.staging, form};
}

InputBatches::InputBatches(Context& ctx, ClipLoader& loader, const Config& config)
    : ctx_(ctx), loader_(loader), input_(input_spec(config)) {}

InputBatches::Ahead InputBatches::start() {
  Ahead ahead{loader_.next(), {}};
  if (!ctx_.on_device()) return ahead;
  const Tensor& host = ahead.batch.frames;
  Tensor there(ctx_.arena, host.shape(), Layout::dense, host.dtype());
  ahead.use = ctx_.arena.device()->upload_beside(there.pointer<char>(), host.storage(), host.bytes());
  ahead.batch.frames = there;
  return ahead;
}

void InputBatches::copy_ahead() {
  if (ctx_.on_device() && !ahead_ && loader_.in_flight() > 0) ahead_ = start();
}

Batch InputBatches::next() {
  Ahead now = ahead_ ? std::move(*ahead_) : start();
  ahead_.reset();
  if (now.use) now.use();
  Tensor& frames = now.batch.frames;
  frames = now.batch.views.empty() ? ctx_.activation(frames) : input_of(frames, now.batch.views);
  return std::move(now.batch);
}

// The network's input of frames as they are stored.
#if defined(MG_CUDA)
Tensor InputBatches::input_of(const Tensor& stored, const std::vector<FrameView>& views) const {
  const Tensor held = ctx_.upload_bytes(std::as_bytes(std::span(views)));
  Tensor y = ctx_.empty({stored.dim(0), stored.dim(1), input_.height, input_.width, 3}, Layout::pitched,
                        ctx_.activations);
  FrameInput args{
      .y = y.view(),
      .frames = stored.view(),
      .views = held.pointer<FrameView>(),
      .any_contrast = std::any_of(views.begin(), views.end(), [](const auto& v) { return v.contrast != 1; }),
      .scale = {},
      .shift = {}};
  for (std::size_t c = 0; c < 3; ++c) {
    args.scale[c] = 1 / (input_.divisor * input_.stddev[c]);
    args.shift[c] = -input_.mean[c] / input_.stddev[c];
  }
  frame_input(args, std::get<CudaStream>(ctx_.stream));
  return y;
}
#else
Tensor InputBatches::input_of(const Tensor&, const std::vector<FrameView>&) const {
  throw Error(ExitCode::failure, "stored frames are for a GPU, and this program was built without CUDA");
}
#endif

}  // namespace mg
