// Every network against PyTorch's answer for the same weights (fp64 there, fp32 here).
#include "models/classifier.h"
#include "models/contrastive_model.h"
#include "models/emotion_transformer.h"
#include "models/golden.h"
#include "models/proof.h"

namespace mg {

using test::check_golden;
using test::fill;
using test::hashed_tensor;

namespace {

Context context() { return Context(CpuStream(2)); }

const std::vector<std::vector<std::int32_t>> kTexts{{2, 7, 11, 5, 13, 19, 3}, {2, 40, 8, 3}, {2}, {2, 23, 3}};

TextEncoderConfig small_encoder(TextKind kind = TextKind::distilbert) {
  return {.kind = kind,
          .vocabulary = 50,
          .max_positions = 16,
          .dim = 32,
          .hidden_dim = 64,
          .layers = 2,
          .heads = 4,
          .dropout = 0,
          .attention_dropout = 0};
}

// Zero where there is padding, as the golden has it: nothing reads those positions.
void clear_padding(Tensor& hidden, const TokenBatch& tokens) {
  for (std::int64_t k = 0; k < tokens.count; ++k) {
    for (std::int64_t l = tokens.lengths[static_cast<std::size_t>(k)]; l < tokens.length; ++l) {
      std::fill_n(hidden.f32() + (k * tokens.length + l) * hidden.pitch(), hidden.channels(), 0.0f);
    }
  }
}

}  // namespace

TEST_CASE("R(2+1)D gives torchvision's features and running statistics") {
  Context ctx = context();
  R2Plus1d net({.in_channels = 3, .width = 16});
  fill(net);
  const Value frames(hashed_tensor(ctx, "frames", {2, 16, 64, 64, 3}));
  check_golden("r2plus1d eval", net.forward(ctx, frames).data);
  ctx.training = true;
  // The batch's statistics amplify rounding: PyTorch's own fp32 is 7.5e-5 away from its fp64 here.
  check_golden("r2plus1d train", net.forward(ctx, frames).data, 7.5e-5);
  const TensorMap state = to_tensor_map(named_tensors(net));
  for (const char* norm :
       {"stem.1", "stem.4", "layer1.0.conv1.0.1", "layer2.0.downsample.1", "layer4.1.conv2.1"}) {
    for (const char* kind : {"running_mean", "running_var"}) {
      const std::string name = fmt::format("{}.{}", norm, kind);
      check_golden("r2plus1d " + name, state.at(name));
    }
    CHECK(*state.at(fmt::format("{}.num_batches_tracked", norm)).as<std::int64_t>() == 1);
  }
}

TEST_CASE("A frozen R(2+1)D uses its running statistics and leaves them alone while training") {
  Context ctx = context();
  R2Plus1d net({.in_channels = 3, .width = 16});
  fill(net);
  net.set_frozen(true);
  ctx.training = true;
  check_golden("r2plus1d eval", net.forward(ctx, hashed_tensor(ctx, "frames", {2, 16, 64, 64, 3})).data);
  CHECK(*to_tensor_map(named_tensors(net)).at("stem.1.num_batches_tracked").as<std::int64_t>() == 0);
}

TEST_CASE("R(2+1)D at its full width has torchvision's size and features") {
  Context ctx = context();
  R2Plus1d net({});
  CHECK(net.parameter_count() == 31'505'325 - (512 * 400 + 400));  // without torchvision's fc
  fill(net);
  check_golden("r2plus1d full", net.forward(ctx, hashed_tensor(ctx, "frames", {1, 8, 32, 32, 3})).data);
}

TEST_CASE("DistilBERT and BERT give transformers' hidden states at every layer, whatever the padding") {
  for (const auto& [name, kind] : {std::pair{"distilbert", TextKind::distilbert}, {"bert", TextKind::bert}}) {
    test::Proof proof(fmt::format("{}, hidden states of all layers", name));
    const auto check = [&](const std::string& part, const Tensor& tensor) {
      proof.check(part, test::golden_error(test::golden_case(fmt::format("{} {}", name, part)), tensor),
                  test::kTolerance);
    };
    Context ctx = context();
    TextEncoder net(small_encoder(kind));
    fill(net);
    const TokenBatch tokens = pad_tokens(kTexts, 0);
    std::vector<Value> hidden;
    const Value last = net.forward(ctx, tokens, &hidden);
    REQUIRE(hidden.size() == 3);
    check("mean", pool_text(ctx, last, tokens.lengths, TextPooling::mean).data);
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      clear_padding(hidden[i].data, tokens);
      check("hidden " + std::to_string(i), hidden[i].data);
    }
    const Tensor cls = pool_text(ctx, last, tokens.lengths, TextPooling::cls).data;
    for (std::int64_t k = 0; k < tokens.count; ++k) CHECK(cls.at(k, 5) == last.data.at(k * tokens.length, 5));
  }
}

TEST_CASE("A text's hidden state does not depend on the texts beside it") {
  Context ctx = context();
  TextEncoder net(small_encoder());
  net.initialize(3);
  const Tensor together = net.forward(ctx, pad_tokens(kTexts, 0)).data;
  const Tensor alone = net.forward(ctx, pad_tokens({&kTexts[1], 1}, 0)).data;
  for (std::int64_t l = 0; l < 4; ++l) {
    for (std::int64_t d = 0; d < 32; ++d)
      CHECK(together.at(7 + l, d) == doctest::Approx(alone.at(l, d)).epsilon(1e-5));
  }
}

TEST_CASE("DistilBERT refuses a text that is longer than its positions") {
  Context ctx = context();
  TextEncoder net(small_encoder());
  const std::vector<std::vector<std::int32_t>> texts{std::vector<std::int32_t>(17, 4)};
  CHECK_THROWS_AS(net.forward(ctx, pad_tokens(texts, 0)), Error);
}

TEST_CASE("Heads and classifier give PyTorch's answers") {
  Context ctx = context();
  ProjectionHead head(48, 24);
  fill(head);
  check_golden("projection head", head.forward(ctx, hashed_tensor(ctx, "x", {5, 48})).data);
  Classifier classifier({.inputs = 24, .hidden = 17, .classes = 5});
  fill(classifier);
  check_golden("classifier", classifier.forward(ctx, hashed_tensor(ctx, "x", {4, 24})).data);
}

TEST_CASE("Adaptive prompting gives PyTorch's answer; without it texts stay as they are") {
  Context ctx = context();
  AdaptivePrompting prompting(128, {.kind = PromptKind::xclip, .heads = 0, .layers = 2, .alpha = 0.1f});
  fill(prompting);
  const Value text(hashed_tensor(ctx, "text", {3, 128})), visual(hashed_tensor(ctx, "visual", {2, 5, 128}));
  check_golden("adaptive prompting", prompting.forward(ctx, text, visual).data);
  AdaptivePrompting paper(128, {.kind = PromptKind::paper_eq, .layers = 2, .scalar_alpha = true});
  fill(paper);
  check_golden("paper prompting", paper.forward(ctx, text, visual).data);
  AdaptivePrompting none(128, {.kind = PromptKind::none});
  CHECK(none.parameter_count() == 0);
  CHECK(none.forward(ctx, text, visual).data.f32() == text.data.f32());
}

TEST_CASE("The emotion Transformer gives PyTorch's logits, also for an empty sequence") {
  Context ctx = context();
  const std::vector<std::vector<std::int32_t>> sequences{{1, 10, 3, 3, 7}, {}, {0, 2, 5}};
  for (bool pre_norm : {true, false}) {
    EmotionTransformer net({.gestures = 11,
                            .emotions = 2,
                            .dim = 32,
                            .hidden_dim = 48,
                            .max_length = 8,
                            .layers = 3,
                            .heads = 4,
                            .dropout = 0.1f,
                            .pre_norm = pre_norm});
    fill(net);
    check_golden(pre_norm ? "emotion pre-norm" : "emotion post-norm", net.forward(ctx, sequences).data);
    const std::vector<std::vector<std::int32_t>> too_long{std::vector<std::int32_t>(9, 1)}, unknown{{11}};
    CHECK_THROWS_AS(net.forward(ctx, too_long), Error);
    CHECK_THROWS_AS(net.forward(ctx, unknown), Error);
  }
}

}  // namespace mg
