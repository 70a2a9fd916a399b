// mgconvert import
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "engine/checkpoint.h"
#include "engine/file.h"
#include "tools/convert/commands/commands.h"
#include "tools/convert/write_weights.h"
#include "train/classes.h"
#include "train/commands/wrong_usage.h"
#include "train/import_folder.h"
#include "train/label_list.h"

namespace mg {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kListed = 12;

struct ImportCommand {
  std::string kind;
  fs::path source, out, vocabulary, classifier, labels;
  BuildOptions build;

  ExitCode run() const {
    check_options();
    Source from = read_source(source, kind == "bert" || kind == "distilbert");
    if (!vocabulary.empty()) {
      from.vocabulary = WordPiece::load(vocabulary).vocabulary();
      from.files.push_back(vocabulary);
    }
    const ConvertedModel model = build_model(kind, from, build);
    if (kind == "authors") {
      write_certified(out, model, from, [&](const auto& aside) { return write_run(aside, model); });
    } else {
      write_model_folder(out, model, from);
    }
    print(model, from);
    return ExitCode::ok;
  }

 private:
  void check_options() const {
    if (kind == "authors") return;
    for (const fs::path* option : {&classifier, &labels}) {
      if (!option->empty()) throw Error(ExitCode::usage, "--classifier and --labels go with --as authors");
    }
  }

  // A run whose first stage (and second, with a classifier) is what came in.
  std::vector<std::string> write_run(const fs::path& folder, const ConvertedModel& model) const {
    Config config = model.config;
    std::vector<std::string> written{"vocab.txt"};
    write_whole_file(folder / "vocab.txt", vocabulary_lines(model.vocabulary));
    config.set("text.vocabulary=" + (fs::absolute(out) / "vocab.txt").lexically_normal().string());
    save_stage(folder, "contrastive", *model.module);
    std::size_t classes = 0;
    if (!classifier.empty()) {
      const ConvertedModel second = build_model("classifier", read_source(classifier, false),
                                                {.allow_nonfinite = build.allow_nonfinite});
      config.take(second.config, second.decided);
      if (config.integer("model.embedding_dim") != model.config.integer("model.embedding_dim")) {
        throw Error(ExitCode::checkpoint, "{}: a classifier of embeddings of {}, but the model's have {}",
                    classifier.string(), config.integer("model.embedding_dim"),
                    model.config.integer("model.embedding_dim"));
      }
      classes = static_cast<std::size_t>(named_tensors(*second.module).back().tensor->dim(0));
      save_stage(folder, "classifier", *second.module);
    }
    if (!labels.empty()) {
      const std::vector<GestureClass> named = read_labels();
      if (classes != 0 && named.size() != classes) {
        throw Error(ExitCode::data, "{}: {} labels, but the classifier has {}", labels.string(), named.size(),
                    classes);
      }
      write_whole_file(folder / "classes.json", classes_text(named));
      written.push_back("classes.json");
    }
    write_whole_file(folder / "config.toml", config.to_toml());
    return written;
  }

  static void save_stage(const fs::path& folder, const std::string& stage, Module& module) {
    save_checkpoint(
        folder / "ckpt" / stage / "step_1",
        {to_tensor_map(named_tensors(module)), {}, {{"stage", stage}, {"step", 1}, {"steps", 1}}});
  }

  std::vector<GestureClass> read_labels() const {
    std::vector<GestureClass> classes;
    for (const std::string& label : read_label_list(labels)) classes.push_back({label, label});
    return classes;
  }

  void print(const ConvertedModel& model, const Source& from) const {
    std::printf("%s: %s, %zu tensors taken (%.2f M parameters), %zu left aside\n", out.c_str(),
                model.kind.c_str(), model.keys.source_of.size(),
                static_cast<double>(model.module->parameter_count()) / 1e6,
                model.keys.dropped.size() + from.weights.left_out.size());
    list("left aside", dropped_lines(model, from));
    list("random, the source has none", model.random);
    list("note", from.notes);
    list("note", model.notes);
    if (kind == "authors") {
      std::printf("  a run: mgtrain predict --run %s --labels texts.txt clip.mp4\n", out.c_str());
    } else if (kind != "classifier") {
      const char* option = kind == "r2plus1d" ? "--video-weights" : "--text-weights";
      std::printf("  to train from it: mgtrain train %s %s ...\n", option, out.c_str());
    }
  }

  static std::vector<std::string> dropped_lines(const ConvertedModel& model, const Source& from) {
    std::vector<std::string> lines = from.weights.left_out;
    lines.reserve(lines.size() + model.keys.dropped.size());
    std::size_t copies = 0;
    for (const auto& [name, reason] : model.keys.dropped) {
      if (reason.starts_with("the same as ")) {
        ++copies;
      } else {
        lines.push_back(fmt::format("{}: {}", name, reason));
      }
    }
    if (copies > 0) lines.push_back(fmt::format("{} copies of tensors that were taken", copies));
    return lines;
  }

  static void list(const char* title, const std::vector<std::string>& lines) {
    for (std::size_t i = 0; i < std::min(lines.size(), kListed); ++i)
      std::printf("  %s: %s\n", title, lines[i].c_str());
    if (lines.size() > kListed) {
      std::printf("  %s: and %zu more (%s has them all)\n", title, lines.size() - kListed, kCertificateFile);
    }
  }
};

}  // namespace

void add_import_command(CLI::App& app, ConvertAction& action) {
  CLI::App* command = app.add_subcommand("import", "Take in a model from elsewhere");
  auto options = std::make_shared<ImportCommand>();
  command
      ->add_option("SRC", options->source,
                   "weight file, or a Hugging Face folder with config.json, weights, vocab.txt")
      ->required();
  command
      ->add_option("--as", options->kind,
                   "what it is: r2plus1d (torchvision's), distilbert or bert (transformers'), classifier "
                   "(of stage 2), authors (the paper's whole model: becomes a run)")
      ->required()
      ->check(one_of(model_kinds()));
  command->add_option("--out", options->out, "folder to make")->required();
  command->add_option("--vocab", options->vocabulary, "vocab.txt of a text encoder, where SRC has none");
  command
      ->add_option("--heads", options->build.heads, "attention heads of a text encoder without config.json")
      ->check(CLI::Range(1, 1024));
  command->add_option("--classifier", options->classifier,
                      "with authors: the weights of their second stage too");
  command->add_option("--labels", options->labels,
                      "with authors: the names of the classes, one a line or a CSV id,name with ids from 0");
  command->add_option("--set", options->build.settings, "section.name=value, as in mgtrain; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--allow-partial", options->build.allow_partial,
                    "leave random what SRC lacks, and aside what it has too much; both are named");
  command->add_flag(
      "--allow-nonfinite", options->build.allow_nonfinite,
      "take in NaN, infinity and negative variances too, to look at; mgtrain refuses the folder");
  command->footer(
      "Wrappers' prefixes (module., model., 0.auto_model. ...), a state_dict inside a training checkpoint, "
      "old\n"
      "names, half precision and copies of a tensor are taken as they are met; heads of other tasks are "
      "left\n"
      "aside by name. The folder gets model.safetensors, config.toml (what the model decides of mgtrain's\n"
      "configuration), a text encoder's config.json and vocab.txt, and certificate.json: hashes of the "
      "source,\n"
      "what became of each tensor, and the outputs of a probe, which `mgconvert verify` computes again.\n"
      "Example: mgconvert import r2plus1d_18-91a641e6.pth --as r2plus1d --out weights/kinetics\n"
      "         mgconvert import all-MiniLM-L6-v2/ --as bert --out weights/minilm\n"
      "         mgconvert import CLIPModel.pt --as authors --vocab vocab.txt --classifier Classifier.pt \\\n"
      "             --labels Clip_label.csv --out runs/authors");
  command->callback([options, &action] { action = [options] { return options->run(); }; });
}

}  // namespace mg
