// Handcrafted sentences around labels.
#include "train/text_templates.h"

#include <doctest/doctest.h>

#include "train/config.h"

namespace mg {

namespace {

std::vector<std::string> templates_of(const std::string& value) {
  Config config;
  config.set("text.template=" + value);
  return text_templates(config);
}

}  // namespace

TEST_CASE("text.template: the label alone, a list of ours, or any sentences with {}") {
  CHECK(templates_of("") == std::vector<std::string>{"{}"});
  CHECK(templates_of("a person {}|{}, seen from afar") ==
        std::vector<std::string>{"a person {}", "{}, seen from afar"});
  const std::vector<std::string> ours = templates_of("handcrafted");
  CHECK(ours.size() >= 8);
  for (const std::string& text : ours) {
    CAPTURE(text);
    CHECK(fill_template(text, "biting nails").find("biting nails") != std::string::npos);
    CHECK(fill_template(text, "x").find("{}") == std::string::npos);
  }
  for (const char* wrong : {"a person", "a person {}|a gesture", "handcraftd"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(templates_of(wrong), Error);
  }
}

TEST_CASE("A text stands for the mean of its embeddings in all templates") {
  const std::vector<std::string> labels{"ab", "b", "abba"}, templates{"{}", "b {} a", "{} b"};
  const WordPiece tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b"});
  ContrastiveModelConfig config;
  config.video = {.in_channels = 3, .width = 4, .blocks = {1, 1, 1, 1}};
  config.text = {.vocabulary = 9, .max_positions = 16, .dim = 8, .hidden_dim = 8, .layers = 1, .heads = 2};
  config.embedding_dim = 8;
  ContrastiveModel model(config);
  model.initialize(2);
  Context ctx(CpuStream(1));
  const TemplatedTexts all = encode_templated(tokenizer, templates, labels, 16);
  CHECK(all.tokens.count == 9);
  CHECK(all.templates == 3);
  const Tensor mean = encode_text(ctx, model, all).data;
  REQUIRE(to_string(mean.shape()) == to_string(Shape{3, 8}));
  for (std::int64_t k = 0; k < 3; ++k) {
    std::vector<double> sum(8);
    for (const std::string& text_template : templates) {
      const std::vector<std::string> text{fill_template(text_template, labels[static_cast<std::size_t>(k)])};
      const Tensor one = model.encode_text(ctx, tokenizer.encode(text, 16)).data;
      for (std::int64_t d = 0; d < 8; ++d) sum[static_cast<std::size_t>(d)] += one.at(0, d) / 3.0;
    }
    for (std::int64_t d = 0; d < 8; ++d) {
      CHECK(mean.at(k, d) == doctest::Approx(sum[static_cast<std::size_t>(d)]).epsilon(1e-5));
    }
  }
}

}  // namespace mg
