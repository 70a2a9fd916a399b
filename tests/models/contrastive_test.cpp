// The first stage's model as a whole: logits, loss and every gradient against PyTorch.
#include "models/contrastive_model.h"
#include "models/golden.h"

namespace mg {

using test::check_golden;
using test::fill;
using test::hashed_tensor;

namespace {

const std::vector<std::vector<std::int32_t>> kTexts{{2, 7, 11, 5, 13, 19, 3}, {2, 40, 8, 3}, {2}, {2, 23, 3}};
const std::vector<std::int32_t> kLabels{0, 3, 1, 2, 1};  // the text of each clip

ContrastiveModelConfig small_model() {
  return {.video = {.in_channels = 3, .width = 8, .blocks = {1, 1, 1, 1}},
          .text = {.vocabulary = 50,
                   .max_positions = 16,
                   .dim = 32,
                   .hidden_dim = 64,
                   .layers = 2,
                   .heads = 4,
                   .dropout = 0,
                   .attention_dropout = 0},
          .text_pooling = TextPooling::cls,
          .embedding_dim = 32,
          .head_dropout = 0,
          .prompt = {},
          .temperature = 0.05f};
}

}  // namespace

TEST_CASE("The contrastive model's logits, loss and gradients are PyTorch's") {
  Context ctx(CpuStream(2));
  ContrastiveModel model(small_model());
  fill(model);
  Tape tape;
  ctx.tape = &tape;
  ctx.training = true;
  const EncodedVideo video = model.encode_video(ctx, hashed_tensor(ctx, "frames", {5, 8, 32, 32, 3}));
  const Value texts = model.encode_text(ctx, pad_tokens(kTexts, 0));
  const Value prompted = model.prompt(ctx, texts, video);

  const Tensor logits = model.logits(ctx, video.embedding, prompted);
  Tensor pairs = ctx.empty({5, 5});
  Tensor positives = ctx.zeros({5, 4});
  std::vector<std::int32_t> counts(4);
  for (std::int64_t i = 0; i < 5; ++i) {
    const std::int32_t label = kLabels[static_cast<std::size_t>(i)];
    ++counts[static_cast<std::size_t>(label)];
    positives.f32()[i * positives.pitch() + label] = 1;
    for (std::int64_t j = 0; j < 5; ++j) {
      pairs.f32()[i * pairs.pitch() + j] = logits.at(i, kLabels[static_cast<std::size_t>(j)]);
    }
  }
  check_golden("contrastive logits", pairs);
  const Value loss = contrastive_loss(ctx, l2_normalize(ctx, video.embedding), l2_normalize(ctx, prompted),
                                      positives, counts, {.temperature = 0.05f, .label_scale = 10});
  check_golden("contrastive loss", loss.data);

  tape.backward(ctx, loss);
  for (const NamedParameter& p : model.parameters()) {
    CAPTURE(p.name);
    REQUIRE(p.parameter->grad);
    if (p.name.ends_with("k_lin.bias")) continue;  // its true gradient is zero
    check_golden("contrastive gradient " + p.name, p.parameter->grad, 1e-4);
  }
}

TEST_CASE("Similarity is that of directions, or the dot product of embeddings as they are") {
  Context ctx(CpuStream(1));
  ContrastiveModelConfig config = small_model();
  const Tensor v = hashed_tensor(ctx, "v", {3, 32}), t = hashed_tensor(ctx, "t", {4, 32});
  const auto dot = [](const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t j) {
    double sum = 0;
    for (std::int64_t d = 0; d < 32; ++d) sum += double{a.at(i, d)} * b.at(j, d);
    return sum;
  };
  for (const bool cosine : {true, false}) {
    config.cosine = cosine;
    ContrastiveModel model(config);
    const Tensor logits = model.logits(ctx, v, t);
    for (std::int64_t i = 0; i < 3; ++i) {
      for (std::int64_t k = 0; k < 4; ++k) {
        const double length = cosine ? std::sqrt(dot(v, i, v, i) * dot(t, k, t, k)) : 1;
        CHECK(logits.at(i, k) == doctest::Approx(dot(v, i, t, k) / length / 0.05).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("The contrastive model's parameters have the names of the released code") {
  ContrastiveModel model(small_model());
  const TensorMap state = to_tensor_map(named_tensors(model));
  for (const char* name :
       {"image_encoder.stem.0.weight", "image_encoder.layer4.0.conv1.0.3.weight",
        "text_encoder.model.embeddings.LayerNorm.bias",
        "text_encoder.model.transformer.layer.1.attention.q_lin.weight", "image_projection.layer_norm.weight",
        "text_projection.fc.bias", "prompt_generator.visual_feature_normalizer.weight",
        "prompt_generator.refinement_blocks.0.cross_attention.query_transform.weight",
        "prompt_generator.refinement_blocks.0.feed_forward_net.3.bias",
        "prompt_generator.prompt_scaling_factor"}) {
    CAPTURE(name);
    CHECK(state.contains(name));
  }
}

}  // namespace mg
