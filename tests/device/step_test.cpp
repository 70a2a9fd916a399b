// One training step of each stage on a CUDA device against the same step on the processor: gradients of every
// parameter by relative L2 error, the optimizer from the same gradients, running statistics.
#include <map>

#include "device/two_devices.h"
#include "engine/optimizer.h"
#include "models/classifier.h"
#include "models/contrastive_model.h"
#include "models/emotion_transformer.h"
#include "train/settings.h"

using namespace mg;
using namespace mg::test;

namespace {

using Numbers = std::map<std::string, std::vector<float>>;

constexpr std::int64_t kClips = 6, kVocabulary = 50;
const std::vector<std::vector<std::int32_t>> kTexts{
    {2, 7, 9, 3}, {2, 5, 3}, {2, 40, 41, 42, 8, 3}, {2, 11, 3}};
const std::vector<std::int32_t> kTextOfClip{0, 1, 2, 3, 1, 0};

// Uniform in [-1, 1).
Tensor random_host(Shape shape, std::uint32_t site) {
  Tensor t(heap_allocator(), shape, Layout::dense);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    const Philox4 bits = RandomKey{3, 0, site}.draw(0, static_cast<std::uint32_t>(i / 4));
    t.f32()[i] = 2 * uniform01(bits.v[i % 4]) - 1;
  }
  return t;
}

struct Step {
  float loss = 0;
  Numbers gradients, buffers;
};

// Forward and backward of loss(ctx) over a module that was moved to the context's device.
template <class Loss>
Step step_of(Context& ctx, Module& module, Loss loss) {
  module.initialize(11);
  module.move_to(ctx);
  ctx.training = true;
  ctx.seed = 5;
  ctx.step = 2;
  Tape tape;
  const Restore<Tape*> recording(ctx.tape, &tape);
  const Value value = loss(ctx);
  tape.backward(ctx, value);
  Step step;
  step.loss = to_vector(value.data)[0];
  for (const NamedParameter& p : module.parameters()) {
    if (p.parameter->grad) step.gradients[p.name] = to_vector(p.parameter->grad);
  }
  for (const NamedBuffer& b : module.buffers()) {
    if (b.tensor->dtype() == DType::f32) step.buffers[b.name] = to_vector(*b.tensor);
  }
  return step;
}

double norm(const std::vector<float>& x) {
  double squares = 0;
  for (const float v : x) squares += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(squares);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  std::vector<float> difference(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) difference[i] = a[i] - b[i];
  return norm(difference);
}

// Every tensor of got within bound of expected, relative to its norm. A gradient that is zero in truth (the
// biases of attention's keys) is rounding errors only, on either device: it is compared with the norm of them
// all.
void check_numbers(const std::string& what, const Numbers& got, const Numbers& expected, double bound,
                   double noise) {
  REQUIRE(got.size() == expected.size());
  double all = 0, worst = 0;
  std::string worst_name;
  for (const auto& [name, values] : expected) all += norm(values) * norm(values);
  all = std::sqrt(all);
  int tiny = 0;
  for (const auto& [name, values] : expected) {
    CAPTURE(name);
    REQUIRE(got.count(name) == 1);
    const double error = distance(got.at(name), values), size = norm(values);
    if (size < noise * all) {
      ++tiny;
      CHECK(error < 2 * noise * all);
      continue;
    }
    if (error / size > worst) {
      worst = error / size;
      worst_name = name;
    }
    CHECK(error <= bound * size);
  }
  MESSAGE("proof: ", what, ": ", expected.size(), " tensors, worst relative L2 ", worst, " (", worst_name,
          "), bound ", bound, ", zero in truth ", tiny);
}

double all_distance(const Numbers& a, const Numbers& b) {
  double squares = 0, size = 0;
  for (const auto& [name, values] : b) {
    squares += std::pow(distance(a.at(name), values), 2);
    size += std::pow(norm(values), 2);
  }
  return std::sqrt(squares / size);
}

using Run = std::function<Step(Context&)>;

void compare_f32(const std::string& stage, const Run& run) {
  Context cpu = cpu_context(DType::f32), cuda = cuda_context(DType::f32);
  const Step expected = run(cpu), got = run(cuda);
  CHECK(std::abs(got.loss - expected.loss) <= 1e-5f * std::abs(expected.loss));
  check_numbers(stage + " f32 gradients", got.gradients, expected.gradients, 1e-4, 1e-6);
  if (!expected.buffers.empty()) {
    check_numbers(stage + " f32 running statistics", got.buffers, expected.buffers, 1e-4, 1e-9);
  }
}

// bf16 rounds every activation: a sum that another order of adding moves by 1e-7 may round to the neighbour,
// half a percent away, and layer by layer such flips grow to the size of bf16's own rounding noise. So the
// processor's instruction sets, which add in different orders, show how far apart two correct computations
// are, tensor by tensor; and the distance from f32's gradients shows that CUDA's is no worse than the
// processor's.
void compare_bf16(const std::string& stage, const Run& run, double bound) {
  Context f32_context = cpu_context(DType::f32), cpu = cpu_context(DType::bf16),
          cuda = cuda_context(DType::bf16);
  Context other(CpuStream(2, Isa::portable));
  other.activations = DType::bf16;
  const Step f32 = run(f32_context), expected = run(cpu), second = run(other), got = run(cuda);
  CHECK(std::abs(got.loss - expected.loss) <= 1e-2f * std::abs(expected.loss));
  double all = 0, worst = 0, worst_own = 0;
  for (const auto& [name, values] : expected.gradients) all += norm(values) * norm(values);
  all = std::sqrt(all);
  int beyond = 0;
  for (const auto& [name, values] : expected.gradients) {
    CAPTURE(name);
    const double size = norm(values), own = distance(second.gradients.at(name), values),
                 error = distance(got.gradients.at(name), values);
    if (size < 1e-3 * all) continue;  // in the whole's below
    CHECK(error <= std::max(bound * size, 3 * own));
    beyond += error > bound * size;
    worst = std::max(worst, error / size);
    worst_own = std::max(worst_own, own / size);
  }
  const double from_cpu = all_distance(got.gradients, expected.gradients),
               own = all_distance(second.gradients, expected.gradients),
               from_f32 = all_distance(got.gradients, f32.gradients),
               cpu_from_f32 = all_distance(expected.gradients, f32.gradients);
  MESSAGE("proof: ", stage, " bf16 gradients: relative L2 of all ", from_cpu, ", worst tensor ", worst,
          "; between two instruction sets of the processor ", own, ", ", worst_own, "; from f32 ", from_f32,
          ", the processor's bf16 ", cpu_from_f32, "; tensors beyond ", bound, ": ", beyond);
  CHECK(from_cpu <= std::max(bound, 2 * own));
  CHECK(from_f32 <= 1.25 * cpu_from_f32);
}

void compare(const std::string& stage, const Run& run) {
  CAPTURE(stage);
  compare_f32(stage, run);
  compare_bf16(stage, run, 2e-2);
}

Value contrastive_step(Context& ctx, ContrastiveModel& model, const Config& config) {
  const InputSpec input = input_spec(config);
  const Tensor frames = random_host({kClips, input.frames, input.height, input.width, 3}, 1);
  const EncodedVideo video = model.encode_video(ctx, Value(ctx.activation(frames)));
  const Value text = model.prompt(ctx, model.encode_text(ctx, pad_tokens(kTexts, 0)), video);
  const auto texts = static_cast<std::int64_t>(kTexts.size());
  Tensor positives = Tensor::zeros(heap_allocator(), {kClips, texts}, Layout::dense);
  std::vector<std::int32_t> counts(kTexts.size());
  for (std::int64_t i = 0; i < kClips; ++i) {
    const auto text_of = static_cast<std::size_t>(kTextOfClip[static_cast<std::size_t>(i)]);
    positives.f32()[i * texts + static_cast<std::int64_t>(text_of)] = 1;
    ++counts[text_of];
  }
  return contrastive_loss(ctx, model.comparable(ctx, video.embedding), model.comparable(ctx, text), positives,
                          counts, {});
}

Tensor one_hot(std::int64_t rows, std::int64_t classes) {
  Tensor targets = Tensor::zeros(heap_allocator(), {rows, classes}, Layout::dense);
  for (std::int64_t r = 0; r < rows; ++r) targets.f32()[r * classes + r % classes] = 1;
  return targets;
}

}  // namespace

TEST_CASE("a step of every stage on CUDA equals the processor's") {
  if (!has_cuda()) return;
  const Config config = Config::from_preset("nano");
  compare("contrastive", [&](Context& ctx) {
    ContrastiveModel model(contrastive_model_config(config, kVocabulary));
    return step_of(ctx, model, [&](Context& c) { return contrastive_step(c, model, config); });
  });
  compare("classifier", [&](Context& ctx) {
    Classifier classifier(classifier_config(config, 7));
    const Tensor embeddings = random_host({19, config.integer("model.embedding_dim")}, 2);
    return step_of(ctx, classifier, [&](Context& c) {
      return cross_entropy(c, classifier.forward(c, Value(c.activation(embeddings))), one_hot(19, 7));
    });
  });
  compare("emotion", [&](Context& ctx) {
    EmotionTransformer transformer(emotion_config(config, 9, 3));
    const std::vector<std::vector<std::int32_t>> gestures{{0, 3, 8}, {}, {5}, {1, 1, 2, 7, 4, 0}};
    return step_of(ctx, transformer, [&](Context& c) {
      return cross_entropy(c, transformer.forward(c, gestures), one_hot(4, 3));
    });
  });
}

TEST_CASE("the optimizer on CUDA from the processor's gradients") {
  if (!has_cuda()) return;
  const auto train = [](Context ctx) {
    Classifier classifier(classifier_config(Config::from_preset("nano"), 7));
    classifier.initialize(11);
    classifier.move_to(ctx);
    AdamW optimizer({{"classifier", classifier.parameters(), 1e-3, 0.01}}, {.max_norm = 0.5});
    double norms = 0;
    for (std::uint32_t step = 0; step < 5; ++step) {
      std::uint32_t site = 100 * step;
      for (const NamedParameter& p : classifier.parameters()) {
        p.parameter->grad = ctx.to_device(random_host(p.parameter->value.shape(), ++site));
      }
      norms += optimizer.step(ctx).get().gradient_norm;
    }
    Numbers weights;
    for (const NamedParameter& p : classifier.parameters()) weights[p.name] = to_vector(p.parameter->value);
    for (const OptimizerState& s : optimizer.state()) {
      if (s.tensor->dtype() == DType::f32) weights[s.name] = to_vector(*s.tensor);
    }
    weights["norms"] = {static_cast<float>(norms)};
    return weights;
  };
  check_numbers("AdamW, five steps", train(cuda_context(DType::f32)), train(cpu_context(DType::f32)), 1e-6,
                1e-9);
}
