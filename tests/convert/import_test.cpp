// What import makes of models under the names of the wild, and what it refuses.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "convert/foreign_models.h"
#include "convert/read_error.h"
#include "models/classifier.h"
#include "tools/convert/converted_model.h"

namespace mg {

using test::prefixed;
using test::Rename;
using test::renamed_all;

namespace {

// Every tensor of the module is the one of expected under the same name.
void check_equal(Module& module, const TensorMap& expected) {
  const TensorMap got = to_tensor_map(named_tensors(module));
  REQUIRE(got.size() == expected.size());
  for (const auto& [name, tensor] : got) {
    CAPTURE(name);
    REQUIRE(expected.contains(name));
    const Tensor& other = expected.at(name);
    REQUIRE(to_string(tensor.shape()) == to_string(other.shape()));
    CHECK(std::memcmp(tensor.as<char>(), other.as<char>(), tensor.bytes()) == 0);
  }
}

std::string build_error(const std::string& kind, const Source& source, const BuildOptions& options = {}) {
  return test::read_error([&] { build_model(kind, source, options); });
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string numeric_child(const std::string& name) {
  static const std::vector<std::string> children{"stem", "layer1", "layer2", "layer3", "layer4"};
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (name.starts_with(children[i] + ".")) return std::to_string(i) + name.substr(children[i].size());
  }
  return name;
}

TensorMap without(TensorMap tensors, const std::string& part) {
  std::erase_if(tensors, [&](const auto& item) { return contains(item.first, part); });
  return tensors;
}

}  // namespace

TEST_CASE("R(2+1)D is found behind any prefix, as a numbered sequence, with or without its classifier") {
  const TensorMap tensors = test::small_video(), bare = without(tensors, "fc.");
  const std::vector<std::pair<TensorMap, TensorMap>> cases{
      {tensors, tensors},
      {renamed_all(tensors, prefixed("module.")), tensors},
      {renamed_all(tensors, prefixed("model.backbone.")), tensors},
      {bare, bare},
      {renamed_all(bare, [](const auto& name) { return "net." + numeric_child(name); }), bare},
  };
  for (const auto& [wild, expected] : cases) {
    CAPTURE(wild.begin()->first);
    const ConvertedModel model = build_model("r2plus1d", test::source_of(wild), {});
    check_equal(*model.module, expected);
    CHECK(model.config.integer("video.width") == 8);
    CHECK(model.config.integer("video.blocks") == 1);
    CHECK(model.keys.dropped.empty());
    CHECK(model.random.empty());
  }
}

TEST_CASE("A classifier of another name beside a bare video encoder is left aside by name") {
  for (const char* head :
       {"classifier.weight", "head.1.weight", "cls_head.fc_cls.weight", "linear.bias", "logits.weight"}) {
    CAPTURE(head);
    TensorMap wild = without(test::small_video(), "fc.");
    wild.emplace(head, test::numbers({5, 64}));
    const ConvertedModel model = build_model("r2plus1d", test::source_of(wild), {});
    check_equal(*model.module, without(test::small_video(), "fc."));
    REQUIRE(model.keys.dropped.size() == 1);
    CHECK(model.keys.dropped[0].name == head);
  }
}

TEST_CASE(
    "Numbers that no model works with are refused by tensor and place, or noted when they are asked for") {
  for (const float value : {NAN, INFINITY, -INFINITY, -0.5f}) {
    CAPTURE(value);
    TensorMap wild = renamed_all(test::small_video(), prefixed("module."));
    wild.at("module.layer2.0.conv1.0.1.running_var").f32()[3] = value;
    if (!(value < 0 && std::isfinite(value))) wild.at("module.stem.0.weight").f32()[5] = value;
    const std::string error = build_error("r2plus1d", test::source_of(wild));
    CAPTURE(error);
    CHECK(contains(error, "module.layer2.0.conv1.0.1.running_var [3] is"));
    CHECK(contains(error, "--allow-nonfinite"));
    if (std::isnan(value)) CHECK(contains(error, "module.stem.0.weight [0, 0, 0, 0, 5] is nan"));
    const ConvertedModel model = build_model("r2plus1d", test::source_of(wild), {.allow_nonfinite = true});
    CHECK(std::any_of(model.notes.begin(), model.notes.end(),
                      [](const auto& note) { return contains(note, "not usable: module.layer2"); }));
  }
  // A running mean may be below zero, denormals are numbers, and what is left aside does no harm.
  TensorMap wild = without(test::small_video(), "fc.");
  wild.at("stem.1.running_mean").f32()[0] = -3;
  wild.at("stem.0.weight").f32()[0] = 1e-42f;
  wild.emplace("head.weight", test::numbers({5, 64}, NAN));
  const ConvertedModel model = build_model("r2plus1d", test::source_of(wild), {});
  CHECK(std::any_of(model.notes.begin(), model.notes.end(),
                    [](const auto& note) { return contains(note, "head.weight [0, 0] is nan"); }));
}

TEST_CASE("What lies beside the video encoder is left aside, each by name") {
  TensorMap wild = renamed_all(test::small_video(), prefixed("backbone."));
  wild.emplace("head.weight", test::numbers({5, 64}));
  const ConvertedModel model = build_model("r2plus1d", test::source_of(wild), {});
  check_equal(*model.module, test::small_video());
  REQUIRE(model.keys.dropped.size() == 1);
  CHECK(model.keys.dropped[0].name == "head.weight");
  CHECK(contains(model.keys.dropped[0].reason, "backbone."));
}

TEST_CASE("Counts of batches may lack, or be real numbers after a cast") {
  TensorMap expected = test::small_video(), cast = expected;
  for (auto& [name, tensor] : cast) {
    if (name.ends_with("num_batches_tracked")) {
      tensor = Tensor(heap_allocator(), {}, Layout::dense);
      *tensor.f32() = 40;
    }
  }
  check_equal(*build_model("r2plus1d", test::source_of(cast), {}).module, expected);
  const TensorMap lacking = without(expected, "num_batches_tracked");
  for (auto& [name, tensor] : expected) {
    if (name.ends_with("num_batches_tracked")) {
      tensor = Tensor::zeros(heap_allocator(), {}, Layout::dense, DType::i64);
    }
  }
  check_equal(*build_model("r2plus1d", test::source_of(lacking), {}).module, expected);
}

TEST_CASE("Other video networks are refused with the reason") {
  TensorMap deeper = test::small_video(2);
  for (const auto& [name, tensor] : test::small_video(2)) {
    if (name.starts_with("layer3.1.")) deeper.emplace("layer3.2." + name.substr(9), tensor);
  }
  CHECK(contains(build_error("r2plus1d", test::source_of(deeper)),
                 "weights.pth: this is an R(2+1)D of 20 layers, with 2, 2, 3, 2 residual blocks"));
  TensorMap r3d = test::small_video();
  r3d.at("stem.0.weight") = test::numbers({8, 3, 3, 7, 7});
  CHECK(contains(build_error("r2plus1d", test::source_of(r3d)), "as r3d_18 and mc3_18 have"));
  TensorMap bottleneck = test::small_video();
  bottleneck.emplace("layer1.0.conv3.0.weight", test::numbers({8, 8, 1, 1, 1}));
  CHECK(contains(build_error("r2plus1d", test::source_of(bottleneck)), "bottleneck"));
  CHECK(
      contains(build_error("r2plus1d", test::source_of({{"conv1.conv_s.weight", test::numbers({4})}})),
               "no tensor is called stem.0.weight, with any prefix, as every R(2+1)D of torchvision has one; "
               "the file has conv1.conv_s.weight"));
}

TEST_CASE("Missing, extra and mis-shaped names are listed together; --allow-partial names what it does") {
  TensorMap wild = without(test::small_video(), "layer2.0.conv1.0.1.running_var");
  wild.emplace("layer2.0.conv1.0.1.running_va", test::numbers({8}));
  const std::string lists = build_error("r2plus1d", test::source_of(wild));
  CHECK(contains(lists, "1 missing, 1 extra, 0 of another type or shape"));
  CHECK(contains(lists, "missing layer2.0.conv1.0.1.running_var (nearest: layer"));
  CHECK(contains(lists, "extra layer2.0.conv1.0.1.running_va (nearest: layer2.0.conv1.0.1.running_var)"));
  const ConvertedModel model = build_model("r2plus1d", test::source_of(wild), {.allow_partial = true});
  CHECK(model.random == std::vector<std::string>{"layer2.0.conv1.0.1.running_var"});
  REQUIRE(model.keys.dropped.size() == 1);
  CHECK(model.keys.dropped[0].name == "layer2.0.conv1.0.1.running_va");

  TensorMap shaped = test::small_video();
  shaped.at("layer1.0.conv1.1.bias") = test::numbers({9});
  for (const bool partial : {false, true}) {  // a wrong shape is never passed over
    CHECK(contains(build_error("r2plus1d", test::source_of(shaped), {.allow_partial = partial}),
                   "layer1.0.conv1.1.bias: expected f32 [8], got f32 [9]"));
  }
}

TEST_CASE("Text encoders are taken with wrappers, old names, buffers, poolers and other tasks' heads") {
  for (const TextKind kind : {TextKind::distilbert, TextKind::bert}) {
    const bool bert = kind == TextKind::bert;
    const std::string name = bert ? "bert" : "distilbert";
    CAPTURE(name);
    const TensorMap tensors = test::small_text(kind);
    const Rename old = [](std::string key) {
      for (const auto& [now, before] :
           {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}}) {
        if (key.ends_with(now)) key.replace(key.size() - std::strlen(now), std::string::npos, before);
      }
      return key;
    };
    for (const std::string& prefix :
         {std::string(), name + ".", std::string("0.auto_model."), "module." + name + "."}) {
      CAPTURE(prefix);
      TensorMap wild = renamed_all(tensors, [&](const auto& key) { return prefix + old(key); });
      wild.emplace(prefix + "embeddings.position_ids", test::numbers({1, 16}));
      if (bert) wild.emplace(prefix + "pooler.dense.weight", test::numbers({16, 16}));
      const bool with_head = !prefix.empty();
      if (with_head)
        wild.emplace(bert ? "cls.predictions.bias" : "vocab_transform.bias", test::numbers({12}));
      const ConvertedModel model = build_model(name, test::text_source(wild, kind), {});
      check_equal(*model.module, tensors);
      CHECK(model.keys.dropped.size() == 1u + (bert ? 1 : 0) + (with_head ? 1 : 0));
      CHECK(model.config.text("text.kind") == name);
      CHECK(model.config.integer("text.heads") == 4);
      CHECK(model.config.integer("text.hidden_dim") == 24);
      CHECK(model.config.integer("text.max_length") == 16);
    }
  }
}

TEST_CASE("A text encoder that computes otherwise, or says too little, is refused") {
  const TensorMap tensors = test::small_text(TextKind::bert);
  const auto error_with = [&](const char* setting, const nlohmann::json& value) {
    Source source = test::text_source(tensors, TextKind::bert);
    source.config[setting] = value;
    return build_error("bert", source);
  };
  CHECK(contains(error_with("model_type", "roberta"),
                 R"(config.json: model_type: expected "bert", got "roberta")"));
  CHECK(contains(error_with("hidden_act", "gelu_new"), "hidden_act"));
  CHECK(contains(error_with("layer_norm_eps", 1e-5), "layer_norm_eps"));
  CHECK(contains(error_with("num_attention_heads", 5), "5 attention heads do not divide 16 channels"));
  CHECK(contains(error_with("num_attention_heads", "4"), "num_attention_heads: expected a number"));

  TensorMap wide = tensors;
  wide.at("embeddings.word_embeddings.weight") = test::numbers({12, 4});
  CHECK(contains(build_error("bert", test::text_source(wide, TextKind::bert)),
                 "weights.pth: a model beyond what mg builds: --set text.dim=4: text.dim expects"));

  Source source = test::text_source(tensors, TextKind::bert);
  CHECK(contains(build_error("distilbert", source), "these are BERT's: --as bert"));
  source.config = nullptr;
  CHECK(contains(build_error("bert", source), "--heads N"));
  CHECK(build_model("bert", source, {.allow_partial = false, .heads = 2}).config.integer("text.heads") == 2);
  source = test::text_source(tensors, TextKind::bert);
  source.vocabulary.push_back("c");
  CHECK(contains(build_error("bert", source), "has 12 rows, but the vocabulary 13 tokens"));
  source.vocabulary.clear();
  CHECK(contains(build_error("bert", source), "no vocabulary"));
}

TEST_CASE("Rows of the word embeddings that no token has are cut, and said to be") {
  Source source = test::text_source(test::small_text(TextKind::bert), TextKind::bert);
  source.vocabulary.resize(10);
  const ConvertedModel model = build_model("bert", source, {});
  CHECK(to_tensor_map(named_tensors(*model.module)).at("embeddings.word_embeddings.weight").dim(0) == 10);
  REQUIRE(model.notes.size() == 1);
  CHECK(contains(model.notes[0], "the rows from 10 to 11 are left out"));
}

TEST_CASE("Classifiers of all three kinds are told apart") {
  const std::vector<std::tuple<ClassifierHead, std::string, std::string>> heads{
      {ClassifierHead::mlp2, "mlp2", "module."},
      {ClassifierHead::authors_tied, "authors_tied", ""},
      {ClassifierHead::linear, "linear", "head."}};
  for (const auto& [head, name, prefix] : heads) {
    CAPTURE(name);
    Classifier classifier({.head = head, .inputs = 9, .hidden = 7, .classes = 3});
    classifier.initialize(3);
    const TensorMap tensors = to_tensor_map(named_tensors(classifier));
    const ConvertedModel model =
        build_model("classifier", test::source_of(renamed_all(tensors, prefixed(prefix))), {});
    check_equal(*model.module, tensors);
    CHECK(model.config.text("classifier.head") == name);
    CHECK(model.config.integer("model.embedding_dim") == 9);
  }
  CHECK(contains(build_error("classifier", test::source_of({{"a.weight", test::numbers({2})}})),
                 "expected a classifier"));
}

}  // namespace mg
