// The first stage's model as a whole: loss and every gradient at step 0 against PyTorch, in all kinds of
// prompting.
#include <algorithm>

#include "models/proof.h"
#include "models/stage1.h"

namespace mg {

namespace {

constexpr std::size_t kProjections = 8;
constexpr double kFloor = 1e-6;  // relative to each tensor and to the loss
constexpr double kZero = 1e-7;   // of the norm of all gradients: what one that is zero in truth may be

// An estimate of the norm of gradient's difference from the one whose norm, fp32 distance and projections on
// hashed signs golden holds.
double gradient_error(const std::string& name, const nlohmann::json& golden, const Tensor& gradient) {
  REQUIRE(golden.size() == 2 + kProjections);
  double squares = 0;
  for (std::size_t k = 0; k < kProjections; ++k) {
    const test::Hashed hashed(fmt::format("{} {}", name, k));
    double projection = 0;
    for (std::int64_t i = 0; i < gradient.count(); ++i) {
      const double g = gradient.f32()[i];
      projection += hashed(i) < 0 ? -g : g;
    }
    const double difference = projection - golden[2 + k].get<double>();
    squares += difference * difference;
  }
  return std::sqrt(squares / kProjections);
}

std::string describe(const nlohmann::json& item) {
  return fmt::format("{}, prompt {}, tokens {}, condition {}", item.value("text", "distilbert"),
                     item["prompt"].get<std::string>(), item.value("tokens", "spatiotemporal"),
                     item.value("condition", "each"));
}

// Over all cases.
struct Totals {
  test::Proof losses{"loss of the first stage at step 0"};
  test::Proof zeros{"gradients that are zero in truth, against the norm of all"};
};

// Loss and gradients of one case beside PyTorch's.
void compare(const nlohmann::json& golden, const nlohmann::json& item, Totals& totals) {
  const std::string what = describe(item);
  test::Proof proof("gradients, " + what);
  CAPTURE(what);
  const nlohmann::json& sizes = golden["sizes"];
  Context ctx(CpuStream(2));
  ContrastiveModel model(test::model_config(sizes, item));
  test::fill(model);
  const auto labels = golden["labels"].get<std::vector<std::int32_t>>();
  const std::int64_t pixels = sizes["pixels"];
  const Tensor frames = test::hashed_tensor(
      ctx, "frames", {static_cast<std::int64_t>(labels.size()), sizes["frames"], pixels, pixels, 3});
  Tape tape;
  ctx.tape = &tape;
  ctx.training = true;
  const Value loss = test::stage1_loss(ctx, model, frames, golden["texts"], labels);
  tape.backward(ctx, loss);

  const double expected = item["loss"];
  totals.losses.check(what, std::abs(loss.data.at(0) - expected) / expected,
                      std::max(kFloor, 3 * item["loss_fp32_distance"].get<double>()));
  const nlohmann::json& tensors = item["tensors"];
  const double all = item["norm"];
  int zeros = 0;
  REQUIRE(model.parameters().size() == tensors.size());
  for (const NamedParameter& p : model.parameters()) {
    CAPTURE(p.name);
    REQUIRE(tensors.contains(p.name));
    REQUIRE(p.parameter->grad);
    const nlohmann::json& tensor = tensors[p.name];
    const double norm = tensor[0];
    if (norm > 1e-12 * all) {
      proof.check(p.name, gradient_error(p.name, tensor, p.parameter->grad) / norm,
                  std::max(kFloor, 3 * tensor[1].get<double>() / norm));
      continue;
    }
    ++zeros;
    double squares = 0;
    for (std::int64_t i = 0; i < p.parameter->grad.count(); ++i) {
      squares += std::pow(double{p.parameter->grad.f32()[i]}, 2);
    }
    totals.zeros.check(p.name, std::sqrt(squares) / all, kZero);
  }
  CHECK(zeros >= 2);  // the keys' biases at least
}

}  // namespace

TEST_CASE("The first stage's loss and gradients are PyTorch's in all kinds of prompting") {
  Totals totals;
  for (const char* file :
       {"gradients_none_and_bert.json", "gradients_xclip.json", "gradients_paper_eq.json"}) {
    const nlohmann::json golden = test::read_golden(file);
    for (const auto& item : golden["cases"]) compare(golden, item, totals);
  }
}

TEST_CASE("Similarity is that of directions, or the dot product of embeddings as they are") {
  Context ctx(CpuStream(1));
  const nlohmann::json golden = test::read_golden("gradients_xclip.json");
  ContrastiveModelConfig config = test::model_config(golden["sizes"], golden["cases"][0]);
  const std::int64_t dim = config.embedding_dim;
  const Tensor v = test::hashed_tensor(ctx, "v", {3, dim}), t = test::hashed_tensor(ctx, "t", {4, dim});
  const auto dot = [dim](const Tensor& a, std::int64_t i, const Tensor& b, std::int64_t j) {
    double sum = 0;
    for (std::int64_t d = 0; d < dim; ++d) sum += double{a.at(i, d)} * b.at(j, d);
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
  const nlohmann::json golden = test::read_golden("gradients_xclip.json");
  ContrastiveModel model(test::model_config(golden["sizes"], golden["cases"][0]));
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
