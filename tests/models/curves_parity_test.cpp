// 50 steps of training the second and the third stage's networks beside PyTorch.
#include "models/classifier.h"
#include "models/curve.h"
#include "models/emotion_transformer.h"

namespace mg {

namespace {

constexpr int kSteps = 50;
constexpr std::int64_t kBatch = 8;

// 1 - smoothing on the label and smoothing spread over all.
Tensor targets_of(Context& ctx, const std::vector<std::int32_t>& labels, std::int64_t classes,
                  float smoothing) {
  Tensor targets = ctx.empty({static_cast<std::int64_t>(labels.size()), classes}, Layout::dense);
  std::fill_n(targets.f32(), targets.count(), smoothing / static_cast<float>(classes));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    targets.f32()[static_cast<std::int64_t>(i) * classes + labels[i]] += 1 - smoothing;
  }
  return targets;
}

std::vector<double> train_emotion(bool pre_norm) {
  constexpr std::int64_t kVideos = 64, kLongest = 20, kGestures = 11, kEmotions = 3;
  Context ctx(CpuStream(2));
  EmotionTransformer net({.gestures = kGestures,
                          .emotions = kEmotions,
                          .dim = 32,
                          .hidden_dim = 64,
                          .max_length = kLongest,
                          .layers = 3,
                          .heads = 4,
                          .dropout = 0,
                          .pre_norm = pre_norm});
  test::fill(net);
  std::vector<std::vector<std::int32_t>> videos(kVideos);
  std::vector<std::int32_t> emotions(kVideos, 0);
  const test::Hashed lengths("emotion lengths");
  for (std::int64_t i = 0; i < kVideos; ++i) {
    const test::Hashed gestures(fmt::format("emotion {}", i));
    const auto v = static_cast<std::size_t>(i);
    for (std::int32_t g = 0; g < lengths.integer(i, kLongest + 1); ++g) {
      videos[v].push_back(gestures.integer(g, kGestures));
      emotions[v] = static_cast<std::int32_t>((emotions[v] + videos[v].back()) % kEmotions);
    }
  }
  AdamW optimizer({{"emotion", net.parameters(), 1e-3, 1e-2}}, {.max_norm = 1});
  return test::train(ctx, optimizer, kSteps, [&](int step) {
    std::vector<std::vector<std::int32_t>> sequences;
    std::vector<std::int32_t> labels;
    for (std::int64_t row : test::strided_rows(step, kBatch, kVideos)) {
      sequences.push_back(videos[static_cast<std::size_t>(row)]);
      labels.push_back(emotions[static_cast<std::size_t>(row)]);
    }
    return cross_entropy(ctx, net.forward(ctx, sequences), targets_of(ctx, labels, kEmotions, 0));
  });
}

std::vector<double> train_classifier(ClassifierHead head) {
  constexpr std::int64_t kClips = 60, kInputs = 24, kClasses = 5;
  Context ctx(CpuStream(2));
  Classifier net({.head = head, .inputs = kInputs, .hidden = 17, .classes = kClasses, .dropout = 0});
  test::fill(net);
  Tensor embeddings = test::hashed_tensor(ctx, "embeddings", {kClips, kInputs});
  const test::Hashed classes("classes");
  for (std::int64_t i = 0; i < kClips; ++i) {
    embeddings.f32()[i * embeddings.pitch() + classes.integer(i, kClasses)] += 1;
  }
  AdamW optimizer({{"classifier", net.parameters(), 1e-2, 1e-3}}, {});
  return test::train(ctx, optimizer, kSteps, [&](int step) {
    std::vector<std::int32_t> rows, labels;
    for (std::int64_t row : test::strided_rows(step, kBatch, kClips)) {
      rows.push_back(static_cast<std::int32_t>(row));
      labels.push_back(classes.integer(row, kClasses));
    }
    const Value x = gather_rows(ctx, Value(embeddings), rows, {kBatch, kInputs});
    return cross_entropy(ctx, net.forward(ctx, x), targets_of(ctx, labels, kClasses, 0.1f));
  });
}

}  // namespace

TEST_CASE("The emotion Transformer trains as PyTorch's does") {
  const nlohmann::json curves = test::read_golden("curves.json")["curves"];
  test::compare_curve("emotion Transformer, pre-norm", curves["emotion pre-norm"], train_emotion(true));
  test::compare_curve("emotion Transformer, post-norm", curves["emotion post-norm"], train_emotion(false));
}

TEST_CASE("The classifiers train as PyTorch's do") {
  const nlohmann::json curves = test::read_golden("curves.json")["curves"];
  test::compare_curve("classifier mlp2", curves["classifier mlp2"], train_classifier(ClassifierHead::mlp2));
  test::compare_curve("classifier authors_tied", curves["classifier authors_tied"],
                      train_classifier(ClassifierHead::authors_tied));
  test::compare_curve("classifier linear", curves["classifier linear"],
                      train_classifier(ClassifierHead::linear));
}

}  // namespace mg
