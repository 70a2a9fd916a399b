// NaN and infinity go on through every operation to where training and prediction look for them: a network
// that diverged must not look like one that works.
#include <limits>
#include <utility>

#include "kernels/attention.h"
#include "kernels/batch_norm.h"
#include "kernels/contrastive_loss.h"
#include "kernels/conv3d.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/layer_norm.h"
#include "kernels/linear.h"
#include "reference.h"

using namespace mg;
using namespace mg::test;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int64_t kRows = 5, kChannels = 37, kPitch = 48;  // two vectors and a rest on AVX-512

// The first lane, one within a vector, and the last of the row's rest.
constexpr std::int64_t kPlaces[] = {0, 21, kChannels - 1};

Buffer rows(DType type, std::uint32_t site) {
  Buffer buffer({kRows, kChannels}, kPitch, type);
  buffer.randomize(site);
  return buffer;
}

// Row 1 has `value` at the places; the other rows are finite.
Buffer with(float value, DType type, std::uint32_t site) {
  Buffer buffer = rows(type, site);
  for (const std::int64_t c : kPlaces) buffer.at(1, c) = value;
  return buffer;
}

// y is NaN at the places of row 1 and finite everywhere else.
void check_places(const char* what, const Buffer& y) {
  INFO(what);
  for (std::int64_t r = 0; r < y.shape()[0]; ++r) {
    for (std::int64_t c = 0; c < y.shape()[1]; ++c) {
      const bool place = r == 1 && std::find(std::begin(kPlaces), std::end(kPlaces), c) != std::end(kPlaces);
      CAPTURE(r);
      CAPTURE(c);
      CHECK(std::isnan(y.at(r, c)) == place);
    }
  }
  y.check_guards();
}

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::gelu,
                                       Activation::quick_gelu};

}  // namespace

TEST_CASE("a NaN passes every activation, and infinity ReLU") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    const Buffer dy = rows(type, 4101);
    Buffer y = rows(type, 1);
    for (const Activation activation : kActivations) {
      CAPTURE(static_cast<int>(activation));
      const Buffer x = with(kNaN, type, 4100);
      activation_forward({y.poison(on_cuda()).view(stream), x.const_view(stream), activation}, stream);
      check_places("forward", y);
      activation_backward(
          {y.poison(on_cuda()).view(stream), dy.const_view(stream), x.const_view(stream), activation},
          stream);
      // ReLU's slope at NaN is 1, as PyTorch has it.
      if (activation == Activation::relu) CHECK(y.at(1, 0) == dy.at(1, 0));
      if (activation == Activation::gelu || activation == Activation::quick_gelu) check_places("backward", y);
    }
    for (const float infinity : {kInfinity, -kInfinity}) {
      const Buffer x = with(infinity, type, 4100);
      activation_forward({y.poison(on_cuda()).view(stream), x.const_view(stream), Activation::relu}, stream);
      for (const std::int64_t c : kPlaces) CHECK(y.at(1, c) == std::max(infinity, 0.0f));
    }
  });
}

TEST_CASE("a NaN passes BatchNorm with ReLU, forward and backward") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    Buffer weight({kChannels}), bias({kChannels}), mean({kChannels}), variance({kChannels});
    for (Buffer* b : {&weight, &bias, &mean, &variance}) b->randomize(4110);
    for (std::int64_t c = 0; c < kChannels; ++c) variance[c] += 1.5f;
    const Buffer x = with(kNaN, type, 4111), residual = with(kNaN, type, 4112), finite = rows(type, 4113);
    for (const bool by_residual : {false, true}) {
      Buffer y = rows(type, 1);
      batch_norm_forward(
          {y.poison(on_cuda()).view(stream), (by_residual ? finite : x).const_view(stream),
           mean.const_pointer(stream), variance.const_pointer(stream), weight.const_pointer(stream),
           bias.const_pointer(stream), 1e-5f, by_residual ? residual.const_view(stream) : ConstView{}, true},
          stream);
      check_places("forward", y);
      Buffer dresidual = rows(type, 1), dweight({kChannels}), dbias({kChannels});
      batch_norm_backward({.dx = {},
                           .dresidual = dresidual.poison(on_cuda()).view(stream),
                           .dweight = dweight.pointer(stream),
                           .dbias = dbias.pointer(stream),
                           .dy = finite.const_view(stream),
                           .x = finite.const_view(stream),
                           .y = std::as_const(y).const_view(stream),
                           .mean = mean.const_pointer(stream),
                           .variance = variance.const_pointer(stream),
                           .weight = weight.const_pointer(stream),
                           .eps = 1e-5f,
                           .batch_statistics = true},
                          stream);
      // Where the output is NaN the gradient passes, as PyTorch has it.
      for (const std::int64_t c : kPlaces) CHECK(dresidual.at(1, c) == finite.at(1, c));
    }
    // A running variance below zero, as a damaged file has it.
    variance[3] = -2;
    Buffer y = rows(type, 1);
    batch_norm_forward({y.view(stream),
                        finite.const_view(stream),
                        mean.const_pointer(stream),
                        variance.const_pointer(stream),
                        weight.const_pointer(stream),
                        bias.const_pointer(stream),
                        1e-5f,
                        {},
                        true},
                       stream);
    for (std::int64_t r = 0; r < kRows; ++r) CHECK(std::isnan(y.at(r, 3)));
  });
}

TEST_CASE("a batch that is not finite leaves the running statistics alone") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    for (const float value : {kNaN, kInfinity}) {
      const Buffer x = with(value, type, 4120);
      Buffer mean({kChannels}), variance({kChannels}), running_mean({kChannels}),
          running_variance({kChannels});
      for (Buffer* b : {&running_mean, &running_variance}) b->randomize(4121);
      const Buffer old_mean = running_mean, old_variance = running_variance;
      const BatchStatistics to{mean.pointer(stream), variance.pointer(stream), running_mean.pointer(stream),
                               running_variance.pointer(stream), 0.1f};
      batch_norm_statistics({x.const_view(stream), to}, stream);
      for (std::int64_t c = 0; c < kChannels; ++c) {
        CAPTURE(c);
        const bool place = std::find(std::begin(kPlaces), std::end(kPlaces), c) != std::end(kPlaces);
        CHECK(std::isfinite(variance[c]) == !place);  // what normalises the batch tells of it
        CHECK((running_mean[c] == old_mean[c]) == place);
        CHECK((running_variance[c] == old_variance[c]) == place);
        CHECK(std::isfinite(running_mean[c]));
      }
    }
  });
}

TEST_CASE("a NaN passes the epilogues of linear layers") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    Buffer x({kRows, 8}, 16, type), w({kChannels, 8}), bias({kChannels});
    for (Buffer* b : {&x, &w, &bias}) b->randomize(4130);
    const Buffer residual = with(kNaN, type, 4131);
    for (const std::int64_t c : kPlaces) bias[c] = kNaN;
    for (const Activation activation : kActivations) {
      CAPTURE(static_cast<int>(activation));
      Buffer y = rows(type, 1);
      linear_forward({y.poison(on_cuda()).view(stream),
                      x.const_view(stream),
                      w.const_view(stream),
                      {.bias = bias.const_pointer(stream), .activation = activation},
                      {}},
                     stream);
      for (const std::int64_t c : kPlaces) CHECK(std::isnan(y.at(2, c)));
      CHECK(std::isfinite(y.at(2, 1)));
      y.check_guards();
    }
    Buffer y = rows(type, 1);
    linear_forward({y.poison(on_cuda()).view(stream),
                    x.const_view(stream),
                    w.const_view(stream),
                    {.residual = residual.const_view(stream), .relu = true},
                    {}},
                   stream);
    check_places("ReLU of the sum", y);
  });
}

TEST_CASE("a NaN passes a convolution's input transform and epilogue, and its statistics stay out") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    constexpr std::int64_t kIn = 5, kOut = 19;
    Buffer x({1, 1, 4, 4, kIn}, 16, type), w({kOut, kIn, 1, 1, 1}), scale({kIn}), shift({kIn});
    for (Buffer* b : {&x, &w, &scale, &shift}) b->randomize(4140);
    Buffer mean({kOut}), variance({kOut}), running_mean({kOut}), running_variance({kOut});
    for (Buffer* b : {&running_mean, &running_variance}) b->randomize(4141);
    const Buffer old_mean = running_mean;
    const auto run = [&](const InputTransform& input, const BatchStatistics& statistics) {
      Buffer y({1, 1, 4, 4, kOut}, 32, type);
      conv3d_forward({.y = y.poison(on_cuda()).view(stream),
                      .x = std::as_const(x).const_view(stream),
                      .w = w.const_view(stream),
                      .geometry = {},
                      .input = input,
                      .epilogue = {.relu = statistics.mean == nullptr},
                      .statistics = statistics},
                     stream);
      return y;  // on the processor, the padding of a row with a NaN may be NaN: 0 * NaN
    };
    x.at(6, 2) = kNaN;
    const auto check = [&](const Buffer& y) {
      for (std::int64_t k = 0; k < kOut; ++k) {
        CHECK(std::isnan(y.at(6, k)));
        CHECK(std::isfinite(y.at(7, k)));
      }
    };
    check(run({scale.const_pointer(stream), shift.const_pointer(stream), true}, {}));
    check(run({}, {}));
    run({}, {mean.pointer(stream), variance.pointer(stream), running_mean.pointer(stream),
             running_variance.pointer(stream), 0.1f});
    for (std::int64_t k = 0; k < kOut; ++k) {
      CHECK(std::isnan(variance[k]));
      CHECK(running_mean[k] == old_mean[k]);
      CHECK(std::isfinite(running_variance[k]));
    }
  });
}

TEST_CASE("a row with a NaN is NaN after normalising and attention") {
  on_every_stream_and_type([&](auto& stream, DType type) {
    const Buffer x = with(kNaN, type, 4150), finite = rows(type, 4151);
    Buffer y = rows(type, 1), weight({kChannels}), bias({kChannels}), mean({kRows}), inverse({kRows});
    const auto check_row = [&](const char* what) {
      INFO(what);
      for (std::int64_t c = 0; c < kChannels; ++c) {
        CHECK(std::isnan(y.at(1, c)));
        CHECK(std::isfinite(y.at(2, c)));
      }
    };
    l2_normalize_forward({y.poison(on_cuda()).view(stream), x.const_view(stream), 1e-12f}, stream);
    check_row("l2_normalize");
    l2_normalize_backward(
        {y.poison(on_cuda()).view(stream), finite.const_view(stream), x.const_view(stream), 1e-12f}, stream);
    check_row("l2_normalize backward");
    weight.randomize(4152);
    layer_norm_forward({y.poison(on_cuda()).view(stream), x.const_view(stream), weight.const_pointer(stream),
                        bias.const_pointer(stream), 1e-5f, mean.pointer(stream), inverse.pointer(stream)},
                       stream);
    check_row("layer_norm");
    Buffer q({1, kRows, 16}, 16, type), k({1, 70, 16}, 16, type), v({1, 70, 16}, 16, type);
    for (Buffer* b : {&q, &k, &v}) b->randomize(4153);
    q.at(1, 5) = kNaN;  // all of its scores
    Buffer out({1, kRows, 16}, 16, type), lse({1, 1, kRows});
    const auto attend = [&] {
      attention_forward({{.q = std::as_const(q).const_view(stream),
                          .k = std::as_const(k).const_view(stream),
                          .v = std::as_const(v).const_view(stream),
                          .heads = 1,
                          .scale = 0.25f,
                          .key_lengths = nullptr,
                          .dropout = 0,
                          .key = {},
                          .sample_offset = 0},
                         out.poison(on_cuda()).view(stream),
                         lse.pointer(stream)},
                        stream);
    };
    attend();
    CHECK(std::isnan(out.at(1, 0)));
    CHECK(std::isnan(lse[1]));
    CHECK(std::isfinite(out.at(2, 0)));
    q.at(1, 5) = 0.5f;
    k.at(66, 3) = kNaN;  // one score of each query
    attend();
    for (std::int64_t r = 0; r < kRows; ++r) CHECK(std::isnan(out.at(r, 0)));
  });
}

TEST_CASE("a NaN among the logits makes the loss NaN") {
  on_every_stream([&](auto& stream) {
    for (const float value : {kNaN, kInfinity}) {
      const Buffer logits = with(value, DType::f32, 4160);
      Buffer targets({kRows, kChannels}, kPitch), loss({1}), lse({kRows});
      for (std::int64_t r = 0; r < kRows; ++r) targets.at(r, 7) = 1;
      cross_entropy_forward({loss.pointer(stream), logits.const_view(stream),
                             std::as_const(targets).const_view(stream), lse.pointer(stream)},
                            stream);
      CHECK(std::isnan(loss[0]));
    }
  });
}

TEST_CASE("one similarity that is NaN makes the contrastive loss NaN") {
  on_every_stream([&](auto& stream) {
    constexpr std::int64_t kClips = 6, kTexts = 6, kDim = 16;
    for (const ContrastiveTarget target : {ContrastiveTarget::softmax, ContrastiveTarget::l1}) {
      // Prompted texts: text 4 as clip 1 sees it is no positive of the clip's.
      Buffer v({kClips, kDim}), t({kClips, kTexts, kDim}), positives({kClips, kTexts});
      v.randomize(4170);
      t.randomize(4171);
      t.at(1 * kTexts + 4, 3) = kNaN;
      for (std::int64_t i = 0; i < kClips; ++i) positives.at(i, i) = 1;
      Held<std::int32_t> counts{std::vector<std::int32_t>(kTexts, 1)};
      Buffer loss({1}), row({kClips}), column({kTexts}), target_row({kClips}), target_column({kTexts});
      contrastive_loss_forward({{.v = std::as_const(v).const_view(stream),
                                 .t = std::as_const(t).const_view(stream),
                                 .positives = std::as_const(positives).const_view(stream),
                                 .counts = counts.on(stream),
                                 .temperature = 0.5f,
                                 .label_scale = 10,
                                 .target = target},
                                loss.pointer(stream),
                                {row.pointer(stream), column.pointer(stream), target_row.pointer(stream),
                                 target_column.pointer(stream)}},
                               stream);
      CHECK(std::isnan(loss[0]));
      CHECK(std::isnan(row[1]));
      CHECK(std::isfinite(row[2]));
    }
  });
}
