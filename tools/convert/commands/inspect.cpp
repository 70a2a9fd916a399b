// mgconvert inspect
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "engine/file.h"
#include "engine/not_finite.h"
#include "engine/sha256.h"
#include "engine/strict_json.h"
#include "tools/convert/commands/commands.h"
#include "tools/convert/weight_file.h"
#include "train/printable.h"

namespace mg {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kCertificate = "certificate.json";  // written by import
constexpr int kCertificateDepth = 16;

constexpr const char* kFooter =
    "Shows what a weight file holds: each tensor with its type in the file (floats are read as f32, which "
    "is\n"
    "exact for F16 and BF16), what is in the file besides tensors, and where it came from if it was "
    "imported.\n"
    "The whole file is read and checked on the way, so exit code 0 also says that it is sound; 5 says it is "
    "not.\n"
    "Numbers that no model works with (NaN, infinity, a running_var below zero) are listed, with their "
    "places.\n"
    "Example: mgconvert inspect r2plus1d_18-91a641e6.pth\n"
    "         mgconvert inspect distilbert-base-uncased/     # as Hugging Face has it\n"
    "         mgconvert inspect runs/first/ckpt/contrastive/step_900\n"
    "         mgconvert inspect --json model.safetensors | jq '.tensors[] | select(.type != \"F32\")'";

struct InspectCommand {
  fs::path path;
  bool as_json = false;

  ExitCode run() const {
    const WeightFile file = read_weight_file(path);
    const json report = describe(file);
    if (as_json) {
      std::printf("%s\n", report.dump(2, ' ', false, json::error_handler_t::replace).c_str());
    } else {
      print(report);
    }
    return ExitCode::ok;
  }

 private:
  static json describe(const WeightFile& file) {
    json report = {{"format", file.format},     {"files", json::array()},    {"tensors", json::array()},
                   {"metadata", file.metadata}, {"left_out", file.left_out}, {"unusable", json::array()}};
    for (const fs::path& part : file.files) {
      report["files"].push_back({{"file", part.string()},
                                 {"bytes", fs::file_size(part)},
                                 {"sha256", sha256_of_file(part, ExitCode::checkpoint)}});
    }
    std::int64_t parameters = 0;
    for (const auto& [name, tensor] : file.tensors) {
      json shape = json::array();
      for (int i = 0; i < tensor.shape().rank(); ++i) shape.push_back(tensor.dim(i));
      report["tensors"].push_back({{"name", name},
                                   {"type", file.stored_types.at(name)},
                                   {"shape", shape},
                                   {"count", tensor.count()}});
      if (const UnusableNumbers numbers = unusable_numbers(name, tensor); numbers.count > 0) {
        report["tensors"].back()["unusable"] = {{"count", numbers.count}, {"first", numbers.place}};
        report["unusable"].push_back(mg::describe(name, tensor, numbers));
      }
      if (tensor.dtype() == DType::f32) parameters += tensor.count();
    }
    report["parameters"] = parameters;
    const fs::path certificate = file.files[0].parent_path() / kCertificate;
    if (fs::exists(certificate)) {
      report["certificate"] = parse_strict_json(read_whole_file(certificate, ExitCode::checkpoint),
                                                kCertificateDepth, certificate.string());
    }
    return report;
  }

  static std::string text(const json& value) {
    return printable(value.is_string() ? value.get<std::string>() : value.dump());
  }

  static void print(const json& report) {
    std::printf("%s\n", text(report["format"]).c_str());
    for (const json& file : report["files"]) {
      std::printf("  %s  %s bytes  sha256 %s\n", text(file["file"]).c_str(), text(file["bytes"]).c_str(),
                  text(file["sha256"]).c_str());
    }
    print_tensors(report["tensors"]);
    std::printf("%zu tensors, %s parameters (numbers of the tensors of floats, buffers included)\n",
                report["tensors"].size(), grouped(report["parameters"].get<std::int64_t>()).c_str());
    for (const json& line : report["unusable"]) std::printf("not usable  %s\n", text(line).c_str());
    for (const auto& [key, value] : report["metadata"].items()) {
      std::printf("metadata  %s: %s\n", printable(key).c_str(), text(value).c_str());
    }
    for (const json& line : report["left_out"]) std::printf("left out  %s\n", text(line).c_str());
    if (report.contains("certificate")) print_certificate(report["certificate"]);
  }

  static void print_tensors(const json& tensors) {
    std::size_t width = 4;
    for (const json& t : tensors) width = std::max(width, text(t["name"]).size());
    std::printf("\n%s\n",
                fmt::format("{:<{}}  {:<5} {:>14}  {}", "name", width, "type", "count", "shape").c_str());
    for (const json& t : tensors) {
      std::printf("%s\n", fmt::format("{:<{}}  {:<5} {:>14}  {}", text(t["name"]), width, text(t["type"]),
                                      grouped(t["count"].get<std::int64_t>()), text(t["shape"]))
                              .c_str());
    }
    std::printf("\n");
  }

  // 31505325 as 31,505,325
  static std::string grouped(std::int64_t number) {
    std::string digits = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
      digits.insert(static_cast<std::size_t>(at), 1, ',');
    }
    return digits;
  }

  // {"kind": ..., "source": [{"file": ..., "sha256": ...}], "dropped": [...]}
  static void print_certificate(const json& certificate) {
    if (!certificate.is_object()) throw Error(ExitCode::checkpoint, "{}: expected an object", kCertificate);
    std::printf("imported  kind %s\n", text(certificate.value("kind", json("not given"))).c_str());
    const json sources = certificate.value("source", json::array());
    for (const json& source : sources) {
      if (!source.is_object())
        throw Error(ExitCode::checkpoint, "{}: source: expected objects", kCertificate);
      std::printf("  from    %s  sha256 %s\n", text(source.value("file", json("?"))).c_str(),
                  text(source.value("sha256", json("?"))).c_str());
    }
    const json dropped = certificate.value("dropped", json(0));
    std::printf("  dropped %s keys\n",
                dropped.is_number() ? text(dropped).c_str() : std::to_string(dropped.size()).c_str());
  }
};

}  // namespace

void add_inspect_command(CLI::App& app, ConvertAction& action) {
  CLI::App* command =
      app.add_subcommand("inspect", "Show the tensors of a weight file, its hash and its origin");
  auto options = std::make_shared<InspectCommand>();
  command
      ->add_option("file", options->path,
                   "a weight file, the index of a sharded one, or the folder of either")
      ->required();
  command->add_flag("--json", options->as_json, "print all of it as JSON");
  command->footer(kFooter);
  command->callback([options, &action] { action = [options] { return options->run(); }; });
}

}  // namespace mg
