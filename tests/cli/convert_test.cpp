// From foreign weights to a run and back: mgconvert and mgtrain together, as their users run them.
#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/mgtrain_command.h"
#include "convert/foreign_models.h"
#include "engine/file.h"
#include "models/classifier.h"

namespace mg {

namespace fs = std::filesystem;
using test::Output;
using test::TemporaryFolder;

namespace {

Output mgconvert(const std::vector<std::string>& arguments) {
  return test::run_program(MG_MGCONVERT, arguments);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A Hugging Face folder of a small BERT.
fs::path text_model(const TemporaryFolder& folder) {
  const fs::path path = folder / "bert";
  fs::create_directories(path);
  write_safetensors(path / "model.safetensors", test::small_text(TextKind::bert));
  write_whole_file(path / "config.json", test::small_text_settings(TextKind::bert).dump());
  std::string vocabulary;
  for (const std::string& token : test::small_vocabulary()) vocabulary += token + "\n";
  write_whole_file(path / "vocab.txt", vocabulary);
  return path;
}

fs::path some_clip() {
  const fs::path videos = fs::path(test::synthetic_data().manifest).parent_path() / "videos";
  return fs::directory_iterator(videos)->path();
}

void check_ok(const Output& output) {
  INFO(output.out, output.err);
  REQUIRE(output.code == 0);
}

// The tensors of a run's stage, last checkpoint.
TensorMap stage_tensors(const fs::path& run, const std::string& stage) {
  const auto found = latest_checkpoint(run / "ckpt" / stage, [](const std::string&) {});
  REQUIRE(found);
  return found->data.model;
}

void check_same(const TensorMap& got, const TensorMap& expected, const std::string& prefix) {
  for (const auto& [name, tensor] : expected) {
    CAPTURE(name);
    REQUIRE(got.contains(prefix + name));
    CHECK(std::memcmp(got.at(prefix + name).as<char>(), tensor.as<char>(), tensor.bytes()) == 0);
  }
}

}  // namespace

TEST_CASE("A text encoder comes in, is verified, starts a run, and goes back out") {
  const TemporaryFolder folder;
  const fs::path weights = folder / "weights", run = folder / "run";
  check_ok(mgconvert({"import", text_model(folder), "--as", "bert", "--out", weights}));
  check_ok(mgconvert({"verify", weights}));
  CHECK(mgconvert({"import", text_model(folder), "--as", "bert", "--out", weights}).code ==
        2);  // there already

  CHECK(has(test::mgtrain({"report", "--run", weights}).err, "an imported model, not a run"));

  const std::vector<std::string> train{
      "train", "--preset", "nano", "--stage", "contrastive", "--manifest", test::synthetic_data().manifest,
      "--run", run};
  std::vector<std::string> first = train;
  first.insert(first.end(),
               {"--text-weights", weights, "--set", "text.freeze=true", "--set", "contrastive.epochs=1"});
  check_ok(test::mgtrain(first));
  check_same(stage_tensors(run, "contrastive"), test::small_text(TextKind::bert), "text_encoder.model.");
  CHECK(fs::exists(run / "text_weights.json"));
  CHECK(has(read_whole_file(run / "config.toml", ExitCode::failure), "kind = 'bert'"));

  const fs::path out = folder / "exported";
  check_ok(mgconvert({"export", run, "--to", "transformers", "--out", out}));
  check_ok(mgconvert({"verify", out}));
  CHECK(mgconvert({"diff", out, weights}).code == 0);
  check_ok(mgconvert({"import", out, "--as", "bert", "--out", folder / "again"}));
  CHECK(mgconvert({"diff", out, folder / "again"}).code == 0);
  check_ok(mgconvert({"export", run, "--to", "safetensors", "--out", folder / "stages"}));
  check_same(read_safetensors(folder / "stages/contrastive.safetensors").tensors,
             test::small_text(TextKind::bert), "text_encoder.model.");
}

TEST_CASE("A video encoder starts a run with the architecture that its folder says") {
  const TemporaryFolder folder;
  const fs::path file = folder / "video.safetensors", weights = folder / "weights", run = folder / "run";
  write_safetensors(file, test::small_video());
  check_ok(mgconvert({"import", file, "--as", "r2plus1d", "--out", weights}));
  check_ok(mgconvert({"verify", weights}));
  const Output named = test::mgtrain({"predict", "--run", weights, "--top", "0", "--json", some_clip()});
  check_ok(named);
  CHECK(nlohmann::json::parse(named.out)[0]["labels"].size() == 5);
  check_ok(test::mgtrain({"train", "--preset", "nano", "--stage", "contrastive", "--manifest",
                          test::synthetic_data().manifest, "--run", run, "--video-weights", weights, "--set",
                          "video.freeze=true", "--set", "contrastive.epochs=1"}));
  TensorMap expected = test::small_video();
  std::erase_if(expected, [](const auto& item) { return item.first.starts_with("fc."); });
  check_same(stage_tensors(run, "contrastive"), expected, "image_encoder.");
  check_ok(mgconvert({"export", run, "--to", "torchvision", "--out", folder / "out"}));
  check_ok(mgconvert({"verify", folder / "out"}));
  check_same(read_safetensors(folder / "out/model.safetensors").tensors, expected, "");
}

TEST_CASE("The authors' model becomes a run that predicts, and that trains on") {
  const TemporaryFolder folder;
  const fs::path file = folder / "CLIPModel.safetensors", run = folder / "run",
                 labels = folder / "labels.txt";
  write_safetensors(file, test::small_authors());
  const fs::path vocabulary = text_model(folder) / "vocab.txt";
  check_ok(mgconvert({"import", file, "--as", "authors", "--vocab", vocabulary, "--heads", "4", "--set",
                      "video.frames=4", "--set", "classifier.epochs=1", "--set", "classifier.views=1",
                      "--out", run}));
  check_ok(mgconvert({"verify", run}));
  // What the user sets beside the weights is a part of what is verified.
  check_ok(mgconvert({"import",  file,
                      "--as",    "authors",
                      "--vocab", vocabulary,
                      "--heads", "4",
                      "--set",   "prompt.kind=xclip",
                      "--set",   "prompt.tokens=pooled",
                      "--set",   "prompt.heads=2",
                      "--set",   "contrastive.temperature=0.2",
                      "--set",   "contrastive.similarity=dot",
                      "--set",   "text.pooling=mean",
                      "--out",   folder / "pooled"}));
  check_ok(mgconvert({"verify", folder / "pooled"}));
  write_whole_file(labels, "rub eyes\ntouch hat\n");
  const Output predicted =
      test::mgtrain({"predict", "--run", run, "--labels", labels, "--json", some_clip()});
  check_ok(predicted);
  CHECK(nlohmann::json::parse(predicted.out)[0]["labels"].size() == 2);
  CHECK(test::mgtrain({"predict", "--run", run, some_clip()}).code == 5);  // it knows no classes
  check_ok(test::mgtrain({"train", "--resume", "--run", run, "--stage", "classifier", "--manifest",
                          test::synthetic_data().manifest, "--cache", folder / "cache.h5"}));
  CHECK(stage_tensors(run, "classifier").contains("layer_norm.weight"));
}

TEST_CASE("The authors' second stage and their labels come along") {
  const TemporaryFolder folder;
  const fs::path file = folder / "CLIPModel.safetensors", second = folder / "Classifier.safetensors",
                 labels = folder / "Clip_label.csv";
  write_safetensors(file, test::small_authors());
  Classifier classifier({.head = ClassifierHead::authors_tied, .inputs = 16, .hidden = 1, .classes = 3});
  classifier.initialize(4);
  write_safetensors(second, to_tensor_map(named_tensors(classifier)));
  // Not sorted, and with a comma: the classifier's order is that of the ids.
  write_whole_file(labels, "id,name\n0,touch hat\n1,\"rub, or cover, eyes\"\n2,bite nails\n");
  std::vector<std::string> import{
      "import",  file, "--as",  "authors",        "--vocab",      text_model(folder) / "vocab.txt",
      "--heads", "4",  "--set", "video.frames=4", "--classifier", second};
  const auto with_labels = [&](const std::string& name, const fs::path& csv) {
    std::vector<std::string> all = import;
    all.insert(all.end(), {"--labels", csv, "--out", folder / name});
    return mgconvert(all);
  };
  check_ok(with_labels("run", labels));
  const Output predicted = test::mgtrain({"predict", "--run", folder / "run", "--json", some_clip()});
  check_ok(predicted);
  const nlohmann::json ranked = nlohmann::json::parse(predicted.out)[0]["labels"];
  REQUIRE(ranked.size() == 3);
  CHECK(has(ranked.dump(), "rub, or cover, eyes"));
  check_same(stage_tensors(folder / "run", "classifier"), to_tensor_map(named_tensors(classifier)), "");

  write_whole_file(folder / "two.csv", "id,name\n0,touch hat\n1,bite nails\n");
  write_whole_file(folder / "gap.csv", "id,name\n0,touch hat\n2,bite nails\n");
  const Output two = with_labels("run2", folder / "two.csv"), gap = with_labels("run2", folder / "gap.csv");
  CHECK(two.code == 4);
  CHECK(has(two.err, "2 labels, but the classifier has 3"));
  CHECK(gap.code == 4);
  CHECK(has(gap.err, "gap.csv:3: id: expected 1, got '2'"));
  CHECK_FALSE(fs::exists(folder / "run2"));
}

TEST_CASE("An import that was changed is not trained on") {
  const TemporaryFolder folder;
  const fs::path weights = folder / "weights";
  check_ok(mgconvert({"import", text_model(folder), "--as", "bert", "--out", weights}));
  const auto train_error = [&] {
    const Output output =
        test::mgtrain({"train", "--preset", "nano", "--manifest", test::synthetic_data().manifest, "--run",
                       folder / "run", "--text-weights", weights});
    CHECK(output.code == 5);
    CHECK_FALSE(fs::exists(folder / "run"));
    return output.err;
  };
  {
    std::fstream file(weights / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x7f');
  }
  CHECK(has(train_error(), "model.safetensors: changed since it was imported"));
  CHECK(mgconvert({"verify", weights}).code == 5);
  fs::remove(weights / "certificate.json");
  CHECK(has(train_error(), "expected a folder that `mgconvert import` made"));
}

TEST_CASE("mgconvert's commands teach with an example, and leave nothing of what failed") {
  for (const std::string command : {"import", "export", "inspect", "diff", "verify"}) {
    CAPTURE(command);
    const Output help = mgconvert({command, "--help"});
    CHECK(help.code == 0);
    CHECK(has(help.out, "Example: mgconvert " + command));
  }
  const TemporaryFolder folder;
  write_safetensors(folder / "video.safetensors", test::small_text(TextKind::bert));
  CHECK(
      mgconvert({"import", folder / "video.safetensors", "--as", "r2plus1d", "--out", folder / "out"}).code ==
      5);
  CHECK_FALSE(fs::exists(folder / "out"));
  CHECK_FALSE(fs::exists(folder / "out.tmp"));
  CHECK(mgconvert({"import", folder / "video.safetensors", "--as", "resnet", "--out", folder / "out"}).code ==
        2);
}

}  // namespace mg
