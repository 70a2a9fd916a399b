// mgbench: how fast the operations, the network and the data of this engine are, and how near to what the
// machine can do.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "bench/bench.h"
#include "bench/commands.h"
#include "train/commands/run_app.h"
#include "train/commands/wrong_usage.h"

namespace {

void add_common_options(CLI::App& command, mg::BenchOptions& options) {
  command.add_option("--device", options.device, "cpu or cuda")
      ->check(mg::one_of({"cpu", "cuda"}))
      ->capture_default_str();
  command
      .add_option("--precision", options.precision,
                  "f32 or bf16; f32 on the processor, bf16 on CUDA unless given")
      ->check(mg::one_of({"f32", "bf16"}));
  command.add_flag("--tf32", options.tf32, "fp32 products on tensor cores, rounded to 10 bits (CUDA)");
  command.add_option("--batch", options.batch, "clips; 1 on the processor, 8 on CUDA unless given")
      ->check(CLI::Range(1, 4096));
  command
      .add_option("--width", options.width,
                  "channels of R(2+1)D's first layer: 64, or 16 as in the preset mini")
      ->check(CLI::Range(8, 256))
      ->capture_default_str();
  command.add_option("--frames", options.frames, "frames of a clip")
      ->check(CLI::Range(8, 1024))
      ->capture_default_str();
  command.add_option("--side", options.side, "pixels of a frame's side")
      ->check(CLI::Range(32, 1024))
      ->capture_default_str();
  command.add_option("--threads", options.threads, "threads; 0 takes every core")->check(CLI::Range(0, 1024));
  command.add_option("--isa", options.isa, "portable, avx2 or avx512; the widest unless given");
  command.add_option("--seconds", options.seconds, "at least so long for each measurement")
      ->check(CLI::Range(0.0, 60.0))
      ->capture_default_str();
  command
      .add_option(
          "--clock",
          [&](const CLI::results_t& values) { return options.cpu_clock = values.at(0) == "cpu", true; },
          "wall, or cpu: one thread's own time on a core, where others use the cores too")
      ->check(mg::one_of({"wall", "cpu"}));
  command.add_option("--json", options.json, "write the figures to this file too");
  command.add_option("--svg", options.svg, "draw a roofline to this file");
}

const mg::ForeignNames kForeign{
    {"gpu", {{"--device cuda"}}},
    {"cuda", {{"--device cuda"}}},
    {"dtype", {{"--precision bf16"}}},
    {"fp16", {{"--precision bf16"}}},
    {"bf16", {{"--precision bf16"}}},
    {"batch-size", {{"--batch N"}}},
    {"workers", {{"--threads N"}}},
    {"jobs", {{"--threads N"}}},
    {"iters", {{"--seconds S"}}},
    {"iterations", {{"--seconds S"}}},
    {"repeat", {{"--seconds S"}}},
    {"output", {{"--json FILE"}, {"--out FOLDER"}}},
    {"op", {{"the operation itself, without an option", "op"}}},
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "mgbench times this engine's operations, layers and data, and compares them with the machine's peaks.",
      "mgbench"};
  app.require_subcommand(1);
  app.footer("Example: mgbench op conv linear --device cuda --json ops.json --svg roofline.svg");
  mg::BenchOptions options;
  options.arguments = argv;
  CLI::App* op = app.add_subcommand(
      "op", "Time operations in the shapes they have in training; on a virtual GPU, count what they do");
  std::string about = "which, all unless given:";
  std::vector<std::string> names;
  for (const mg::Operation& operation : mg::operations()) {
    about += fmt::format("\n{}: {}", operation.name, operation.about);
    names.push_back(operation.name);
  }
  op->add_option("operations", options.what, about)->check(mg::one_of(names));
  add_common_options(*op, options);
  CLI::App* model = app.add_subcommand(
      "model",
      "Time the blocks of R(2+1)D-18, a layer of DistilBERT, both networks and a whole training step");
  add_common_options(*model, options);
  model->add_option("--only", options.only, "one part: the training step")->check(mg::one_of({"step"}));
  model->add_option(
      "--timeline", options.timeline,
      "write the kernels of a training step to this file, as a trace that ui.perfetto.dev shows (CUDA)");
  CLI::App* data = app.add_subcommand("data", "Time decoding, the frame cache, the transform and the loader");
  data->add_option("--manifest", options.manifest, "clips of one's own; else synthetic ones are rendered");
  data->add_option("--out", options.out, "folder for the cache, and for the synthetic clips")
      ->capture_default_str();
  data->add_option("--batch", options.batch, "clips; 8 unless given")->check(CLI::Range(1, 4096));
  data->add_option("--threads", options.threads, "threads; 0 takes every core")->check(CLI::Range(0, 1024));
  data->add_option("--seconds", options.seconds, "at least so long for each measurement")
      ->check(CLI::Range(0.0, 60.0));
  data->add_option("--json", options.json, "write the figures to this file too");
  const auto work = [&] {
    if (op->parsed()) mg::bench_ops(options);
    if (model->parsed()) mg::bench_model(options);
    if (data->parsed()) mg::bench_data(options);
    return mg::ExitCode::ok;
  };
  return mg::run_app(app, argc, argv, work, kForeign);
}
