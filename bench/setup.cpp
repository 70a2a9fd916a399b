#include "bench/setup.h"

#include <fmt/core.h>

#include "engine/error.h"
#include "engine/file.h"

namespace mg {

namespace {

Isa isa_named(const std::string& name) {
  if (name.empty()) return supported_isas().back();
  std::string supported;
  for (Isa isa : supported_isas()) {
    if (name == to_string(isa)) return isa;
    supported += fmt::format(" {}", to_string(isa));
  }
  throw Error(ExitCode::usage, "--isa {}: this machine runs:{}", name, supported);
}

Setup cpu_setup(const BenchOptions& options) {
  CpuStream stream(options.threads, isa_named(options.isa));
  if (options.cpu_clock && stream.threads() != 1) {
    throw Error(ExitCode::usage, "--clock cpu measures one thread: add --threads 1");
  }
  const DType dtype = options.precision == "bf16" ? DType::bf16 : DType::f32;
  return {nullptr, std::make_unique<Bench>(Stream(std::move(stream)), dtype)};
}

#if defined(MG_CUDA)
Setup cuda_setup(const BenchOptions& options) {
  CudaStream stream;
  stream.set_tf32(options.tf32);
  const bool is_virtual = stream.device().name.find("virtual") != std::string::npos;
  const DType dtype = options.precision == "f32" ? DType::f32 : DType::bf16;
  auto bench = std::make_unique<Bench>(Stream(std::move(stream)), dtype);
  bench->counting = is_virtual;
  return {is_virtual ? std::make_unique<LaunchReport>(options.arguments) : nullptr, std::move(bench)};
}
#endif

}  // namespace

Setup make_setup(const BenchOptions& options) {
  Setup setup;
  if (options.device == "cpu") {
    setup = cpu_setup(options);
  } else {
#if defined(MG_CUDA)
    setup = cuda_setup(options);
#else
    throw Error(ExitCode::usage, "--device cuda: this build has no CUDA");
#endif
  }
  Bench& bench = *setup.bench;
  bench.width = options.width;
  bench.clip = {options.frames, options.side};
  bench.batch = options.batch > 0 ? options.batch : bench.on_cuda() && !bench.counting ? 8 : 1;
  bench.effort = {options.seconds, options.cpu_clock ? BenchClock::cpu : BenchClock::wall, bench.counting};
  return setup;
}

std::string machine_text(Bench& bench) {
  const char* type = bench.dtype == DType::bf16 ? "bf16" : "f32";
#if defined(MG_CUDA)
  if (const auto* s = std::get_if<CudaStream>(&bench.stream)) {
    return fmt::format("{} (sm_{}, {} multiprocessors), {}{}", s->device().name, s->device().architecture,
                       s->device().multiprocessors, type, s->tf32() ? " by tf32" : "");
  }
#endif
  const auto& s = std::get<CpuStream>(bench.stream);
  return fmt::format("{}, {} thread{}, {}", to_string(s.isa()), s.threads(), s.threads() == 1 ? "" : "s",
                     type);
}

nlohmann::ordered_json machine_json(Bench& bench, const Peaks& peaks) {
  nlohmann::ordered_json json{{"machine", machine_text(bench)},
                              {"batch", bench.batch},
                              {"width", bench.width},
                              {"frames", bench.clip.frames},
                              {"side", bench.clip.side}};
  if (bench.counting) {
    json["counts"] = "of the virtual GPU, in shapes with few rows";
  } else {
    json["clock"] = bench.on_cuda() ? "events" : bench.effort.clock == BenchClock::wall ? "wall" : "cpu";
    json["peaks"] = {{"vector_gflops", peaks.vector_gflops},
                     {"matrix_gflops", peaks.matrix_gflops},
                     {"gbytes", peaks.gbytes}};
  }
  return json;
}

void write_file(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  FileWriter file(path);
  file.write(text);
  file.commit();
}

}  // namespace mg
