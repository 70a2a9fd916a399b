// mgconvert export
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "engine/checkpoint.h"
#include "engine/file.h"
#include "tools/convert/commands/commands.h"
#include "tools/convert/write_weights.h"
#include "tools/convert/written_folder.h"
#include "train/commands/options.h"
#include "train/commands/wrong_usage.h"
#include "train/encoder_weights.h"
#include "train/run_directory.h"
#include "train/stages/stage.h"

namespace mg {

namespace {

namespace fs = std::filesystem;

struct ExportCommand {
  fs::path run, out;
  std::string to;
  WhichCheckpoint which = WhichCheckpoint::last;

  ExitCode convert() const {
    const RunDirectory directory(run);
    if (to == "safetensors") {
      write_stages(directory);
    } else {
      write_encoder(directory);
    }
    return ExitCode::ok;
  }

 private:
  // The run's first stage, as import sees any other file.
  Source source_of(const RunDirectory& directory) const {
    Source source;
    source.path = run;
    source.weights.format = "run";
    source.weights.tensors = finished_stage(directory, "contrastive", which).model;
    source.vocabulary = WordPiece::load(directory.file("vocab.txt")).vocabulary();
    source.tokenizer.lowercase = directory.config().flag("text.lowercase");
    source.files = {directory.file("config.toml"), directory.file("vocab.txt")};
    return source;
  }

  void write_encoder(const RunDirectory& directory) const {
    const Config& config = directory.config();
    const Source source = source_of(directory);
    const bool video = to == "torchvision";
    BuildOptions options;
    options.heads = config.small("text.heads");
    ConvertedModel model = build_model(video ? "r2plus1d" : config.text("text.kind"), source, options);
    // What the network sees of a clip is as much a part of the encoder as its weights.
    const std::vector<std::string>& own = input_keys(video ? EncoderKind::video : EncoderKind::text);
    model.config.take(config, own);
    model.decided.insert(model.decided.end(), own.begin(), own.end());
    model.keys.dropped.clear();  // the run's other parts were not asked for
    write_model_folder(out, model, source);
    std::printf("%s: %s, %.2f M parameters; PyTorch loads it as load.py in it shows\n", out.c_str(),
                model.kind.c_str(), static_cast<double>(model.module->parameter_count()) / 1e6);
  }

  // Every finished stage, under the names of the released code.
  void write_stages(const RunDirectory& directory) const {
    WrittenFolder folder(out);
    std::size_t stages = 0;
    for (const char* stage : {"contrastive", "classifier", "emotion"}) {
      if (!fs::exists(directory.checkpoints(stage))) continue;
      if (which == WhichCheckpoint::best && stages > 0) {
        std::printf("%s: left out: it was trained on the last contrastive model, not on the best\n", stage);
        continue;
      }
      const CheckpointData data = finished_stage(directory, stage, which);
      write_safetensors(folder.path() / fmt::format("{}.safetensors", stage), data.model,
                        {{"format", "pt"}, {"mg.stage", stage}});
      std::printf("%s/%s.safetensors: %zu tensors\n", out.c_str(), stage, data.model.size());
      ++stages;
    }
    if (stages == 0) throw Error(ExitCode::checkpoint, "{}: no stage of it is trained yet", run.string());
    for (const char* name : {"config.toml", "vocab.txt", "classes.json", "emotions.json"}) {
      if (!fs::exists(directory.file(name))) continue;
      write_whole_file(folder.path() / name, read_whole_file(directory.file(name), ExitCode::checkpoint));
    }
    folder.commit();
  }
};

}  // namespace

void add_export_command(CLI::App& app, ConvertAction& action) {
  CLI::App* command = app.add_subcommand("export", "Give a run's networks to PyTorch");
  auto options = std::make_shared<ExportCommand>();
  command->add_option("RUN", options->run, "the run's folder")->required();
  command
      ->add_option(
          "--to", options->to,
          "torchvision: the video encoder; transformers: the text encoder; safetensors: every stage whole")
      ->required()
      ->check(one_of({"torchvision", "transformers", "safetensors"}));
  command->add_option("--out", options->out, "folder to make")->required();
  add_checkpoint_option(*command, options->which);
  command->footer(
      "torchvision and transformers get model.safetensors under their names, which load with strict=True, "
      "and\n"
      "load.py that does so; config.toml holds the preprocessing. `import` takes such a folder back.\n"
      "safetensors has the projections, the prompting and the classifiers too, named as in the paper's "
      "code.\n"
      "Example: mgconvert export runs/first --to torchvision --out exported/video");
  command->callback([options, &action] { action = [options] { return options->convert(); }; });
}

}  // namespace mg
