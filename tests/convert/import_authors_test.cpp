// The authors' whole model: encoders registered twice, prompting under new and old names, and what becomes of
// it.
#include <doctest/doctest.h>

#include "convert/foreign_models.h"
#include "convert/read_error.h"
#include "tools/convert/converted_model.h"

namespace mg {

namespace {

// Video encoder under pretrained and once more under net, as the code's class registers it.
TensorMap registered_twice() {
  TensorMap wild;
  for (const auto& [name, tensor] : test::small_authors()) {
    const std::string encoder = "image_encoder.";
    if (!name.starts_with(encoder)) {
      wild.emplace(name, tensor);
      continue;
    }
    wild.emplace(encoder + "pretrained." + name.substr(encoder.size()), tensor);
    wild.emplace(encoder + "net." + name.substr(encoder.size()), tensor);
  }
  return wild;
}

std::string old_prompt_name(std::string name) {
  const std::vector<std::pair<std::string, std::string>> names{
      {"visual_feature_normalizer", "norm"},
      {"refinement_blocks", "decoder"},
      {"cross_attention.query_transform", "cross_attn.q_proj"},
      {"cross_attention.key_transform", "cross_attn.k_proj"},
      {"cross_attention.value_transform", "cross_attn.v_proj"},
      {"cross_attention.output_projection", "cross_attn.proj"},
      {"norm_for_attention", "norm1"},
      {"norm_for_ffn", "norm3"},
      {"feed_forward_net", "mlp"},
      {"prompt_scaling_factor", "alpha"}};
  if (!name.starts_with("prompt_generator.")) return name;
  for (const auto& [now, before] : names) {
    const auto at = name.find(now);
    if (at != std::string::npos) name.replace(at, now.size(), before);
  }
  return name;
}

Source authors_source(TensorMap tensors) {
  Source source = test::source_of(std::move(tensors));
  source.vocabulary = test::small_vocabulary();
  return source;
}

const BuildOptions kPrompted{.allow_partial = false, .heads = 4, .settings = {"prompt.kind=xclip"}};

bool equal(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::equal(a.as<char>(), a.as<char>() + a.bytes(), b.as<char>());
}

}  // namespace

TEST_CASE("The authors' model comes in whole, with prompting under its present and its older names") {
  for (const bool old_names : {false, true}) {
    TensorMap wild = registered_twice();
    if (old_names) wild = test::renamed_all(wild, old_prompt_name);
    const ConvertedModel model = build_model("authors", authors_source(wild), kPrompted);
    const TensorMap got = to_tensor_map(named_tensors(*model.module)), expected = test::small_authors();
    REQUIRE(got.size() == expected.size());
    for (const auto& [name, tensor] : got) {
      CAPTURE(name);
      CHECK(equal(tensor, expected.at(name)));
    }
    for (const auto& dropped : model.keys.dropped) {  // the copies
      CHECK(dropped.name.starts_with("image_encoder."));
      CHECK(dropped.reason.starts_with("the same as image_encoder."));
    }
  }
}

TEST_CASE(
    "As the released code calls no prompting, it is left aside unless asked for; their preprocessing is "
    "set") {
  const ConvertedModel model =
      build_model("authors", authors_source(registered_twice()), {.allow_partial = false, .heads = 4});
  CHECK(model.config.text("prompt.kind") == "none");
  CHECK(model.config.text("video.scale") == "authors_255");
  CHECK(model.config.text("cache.resize") == "ffmpeg");
  CHECK(model.config.integer("cache.height") == 224);
  CHECK(model.config.integer("model.embedding_dim") == 16);
  std::size_t uncalled = 0;
  for (const auto& dropped : model.keys.dropped)
    uncalled += dropped.name.starts_with("prompt_generator.") ? 1 : 0;
  CHECK(uncalled == 16);  // every tensor of it
}

TEST_CASE("Two copies of a tensor with other values, and a model without an encoder, are refused") {
  TensorMap wild = registered_twice();
  Tensor changed(heap_allocator(), wild.at("image_encoder.net.stem.0.weight").shape(), Layout::dense);
  std::fill_n(changed.f32(), changed.count(), 1.0f);
  wild.at("image_encoder.net.stem.0.weight") = changed;
  const auto error = [](const TensorMap& tensors) {
    return test::read_error([&] { build_model("authors", authors_source(tensors), kPrompted); });
  };
  CHECK(error(wild).find("are the same tensor of the model, but their values differ") != std::string::npos);
  TensorMap without = test::small_authors();
  std::erase_if(without, [](const auto& item) { return item.first.starts_with("text_encoder."); });
  CHECK(error(without).find("no text_encoder.*.embeddings.word_embeddings.weight") != std::string::npos);
}

}  // namespace mg
