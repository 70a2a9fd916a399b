// mgconvert verify
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "engine/checkpoint.h"
#include "engine/not_finite.h"
#include "tools/convert/certificate.h"
#include "tools/convert/commands/commands.h"
#include "train/import_folder.h"
#include "train/run_directory.h"

namespace mg {

namespace {

namespace fs = std::filesystem;

// The model as the folder holds it now, for the probe.
Source source_of(const ImportFolder& folder) {
  if (folder.kind() != "authors")
    return read_source(folder.path(), folder.kind() == "bert" || folder.kind() == "distilbert");
  Source source;
  source.path = folder.path();
  source.weights.tensors = load_checkpoint(folder.path() / "ckpt/contrastive/step_1").model;
  source.vocabulary = WordPiece::load(folder.file("vocab.txt")).vocabulary();
  return source;
}

// Of the whole model's outputs, what neither its weights nor the preset decide.
const std::vector<std::string> kProbed{"prompt.kind",  "prompt.tokens",          "prompt.heads",
                                       "text.pooling", "contrastive.similarity", "contrastive.temperature"};

ConvertedModel rebuilt(const ImportFolder& folder, const Source& source, bool allow_nonfinite) {
  BuildOptions options{.allow_nonfinite = allow_nonfinite};
  Config config;
  config.load_file(folder.file("config.toml"));
  options.heads = config.small("text.heads");
  if (folder.kind() == "authors") {
    for (const std::string& key : kProbed) options.settings.push_back(config.assignment(key));
  }
  return build_model(folder.kind(), source, options);
}

ExitCode verify(const fs::path& path, bool allow_nonfinite) {
  const ImportFolder folder(path);
  std::printf("%s: %s, %zu files have their hashes\n", path.c_str(), folder.kind().c_str(),
              folder.certificate().at("files").size());
  const Source source = source_of(folder);
  const ConvertedModel model = rebuilt(folder, source, allow_nonfinite);
  const fs::path second = folder.path() / "ckpt/classifier/step_1";
  if (fs::exists(second) && !allow_nonfinite) {
    refuse_unusable(unusable_tensors(load_checkpoint(second).model), ExitCode::checkpoint, second.string());
  }
  Context ctx{CpuStream(0)};
  const double distance = probe_distance(folder.certificate(), model.probe(ctx));
  if (!(distance <= kProbeTolerance)) {
    throw Error(
        ExitCode::checkpoint,
        "{}: the probe's outputs are {:.2g} away from those of the certificate (relative, allowed {:.0g})",
        path.string(), distance, kProbeTolerance);
  }
  std::printf("%s: the probe gives what it gave (relative distance %.1g, allowed %.0g)\n", path.c_str(),
              distance, kProbeTolerance);
  return ExitCode::ok;
}

}  // namespace

void add_verify_command(CLI::App& app, ConvertAction& action) {
  CLI::App* command = app.add_subcommand("verify", "Check that an import is what it was");
  auto folder = std::make_shared<fs::path>();
  command->add_option("DIR", *folder, "folder that import made")->required();
  command->footer(
      "Computes the SHA-256 of every file that certificate.json names, and the probe's outputs once more.\n"
      "Example: mgconvert verify weights/minilm");
  auto allow_nonfinite = std::make_shared<bool>(false);
  command->add_flag(
      "--allow-nonfinite", *allow_nonfinite,
      "check a folder that `import --allow-nonfinite` made; without it NaN, infinity and negative "
      "variances are refused");
  command->callback([folder, allow_nonfinite, &action] {
    action = [folder, allow_nonfinite] { return verify(*folder, *allow_nonfinite); };
  });
}

}  // namespace mg
