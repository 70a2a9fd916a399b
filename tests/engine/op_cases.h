// The cases of the operations without a table of their own: normalisations, element-wise, attention, losses.
#pragma once

#include <cmath>

#include "engine/gradient_check.h"

namespace mg::test {

template <class Real>
Real activation_reference(Activation kind, Real x) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x > 0 ? x : 0;
    case Activation::gelu:
      return x * static_cast<Real>(0.5) * (1 + std::erf(x / std::sqrt(static_cast<Real>(2))));
    case Activation::quick_gelu:
      return x / (1 + std::exp(static_cast<Real>(-1.702) * x));
  }
  return 0;
}

// y = relu?(w * (x - mean) / sqrt(var + eps) + b + residual) with the batch's or with given statistics.
inline OpCase batch_norm_case(std::int64_t rows, std::int64_t channels, bool batch, bool relu,
                              bool residual) {
  auto op = [=](Context& ctx, const std::vector<Value>& in) {
    static thread_local Tensor mean, var;
    mean = Tensor::zeros(heap_allocator(), {channels}, Layout::dense);
    var = Tensor::zeros(heap_allocator(), {channels}, Layout::dense);
    for (std::int64_t c = 0; c < channels; ++c) {
      mean.f32()[c] = 0.25f;
      var.f32()[c] = 0.5f;
    }
    mean = mean.moved_to(ctx.arena.device());
    var = var.moved_to(ctx.arena.device());
    BatchNormOptions options{&mean, &var, 0.1f, 1e-5f, batch, relu};
    return batch_norm(ctx, in[0], in[1], in[2], options, residual ? in[3] : Value());
  };
  auto reference = [=](const auto& in) {
    using Real = typename std::decay_t<decltype(in[0])>::value_type;
    std::vector<Real> y(in[0].size());
    const auto at = [&](std::int64_t r, std::int64_t c) {
      return static_cast<std::size_t>(r * channels + c);
    };
    for (std::int64_t c = 0; c < channels; ++c) {
      Real mean = static_cast<Real>(0.25), var = static_cast<Real>(0.5);
      if (batch) {
        mean = var = 0;
        for (std::int64_t r = 0; r < rows; ++r) mean += in[0][at(r, c)] / static_cast<Real>(rows);
        for (std::int64_t r = 0; r < rows; ++r) {
          var += (in[0][at(r, c)] - mean) * (in[0][at(r, c)] - mean) / static_cast<Real>(rows);
        }
      }
      const auto channel = static_cast<std::size_t>(c);
      for (std::int64_t r = 0; r < rows; ++r) {
        Real v = in[1][channel] * (in[0][at(r, c)] - mean) / std::sqrt(var + static_cast<Real>(1e-5)) +
                 in[2][channel];
        if (residual) v += in[3][at(r, c)];
        y[at(r, c)] = relu && v < 0 ? 0 : v;
      }
    }
    return y;
  };
  std::vector<Shape> shapes{{rows, channels}, {channels}, {channels}};
  std::vector<bool> parameter{false, true, true};
  if (residual) {
    shapes.push_back({rows, channels});
    parameter.push_back(false);
  }
  return op_case(
      fmt::format("batch_norm {}x{} batch {} relu {} residual {}", rows, channels, batch, relu, residual),
      shapes, parameter, op, reference);
}

inline OpCase layer_norm_case(std::int64_t rows, std::int64_t channels) {
  auto op = [](Context& ctx, const std::vector<Value>& in) {
    return layer_norm(ctx, in[0], in[1], in[2], 1e-5f);
  };
  auto reference = [=](const auto& in) {
    using Real = typename std::decay_t<decltype(in[0])>::value_type;
    std::vector<Real> y(in[0].size());
    for (std::int64_t r = 0; r < rows; ++r) {
      const Real* x = in[0].data() + r * channels;
      Real mean = 0, var = 0;
      for (std::int64_t c = 0; c < channels; ++c) mean += x[c] / static_cast<Real>(channels);
      for (std::int64_t c = 0; c < channels; ++c)
        var += (x[c] - mean) * (x[c] - mean) / static_cast<Real>(channels);
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<std::size_t>(c);
        y[static_cast<std::size_t>(r * channels + c)] =
            (x[c] - mean) / std::sqrt(var + static_cast<Real>(1e-5)) * in[1][i] + in[2][i];
      }
    }
    return y;
  };
  return op_case(fmt::format("layer_norm {}x{}", rows, channels), {{rows, channels}, {channels}, {channels}},
                 {false, true, true}, op, reference);
}

inline OpCase l2_normalize_case(std::int64_t rows, std::int64_t channels) {
  auto op = [](Context& ctx, const std::vector<Value>& in) { return l2_normalize(ctx, in[0]); };
  auto reference = [=](const auto& in) {
    auto y = in[0];
    for (std::int64_t r = 0; r < rows; ++r) {
      typename std::decay_t<decltype(y)>::value_type squares = 0;
      for (std::int64_t c = 0; c < channels; ++c)
        squares +=
            y[static_cast<std::size_t>(r * channels + c)] * y[static_cast<std::size_t>(r * channels + c)];
      for (std::int64_t c = 0; c < channels; ++c)
        y[static_cast<std::size_t>(r * channels + c)] /= std::sqrt(squares);
    }
    return y;
  };
  return op_case(fmt::format("l2_normalize {}x{}", rows, channels), {{rows, channels}}, {false}, op,
                 reference);
}

inline OpCase activation_case(Activation kind, std::int64_t rows, std::int64_t channels) {
  auto op = [=](Context& ctx, const std::vector<Value>& in) {
    return activate(ctx, scale(ctx, in[0], 3), kind);
  };
  auto reference = [=](const auto& in) {
    auto y = in[0];
    for (auto& v : y) v = activation_reference(kind, 3 * v);
    return y;
  };
  return op_case(fmt::format("activation {} {}x{}", static_cast<int>(kind), rows, channels),
                 {{rows, channels}}, {false}, op, reference);
}

struct AttentionSizes {
  std::int64_t batch, queries, keys, heads, dim;
  std::vector<std::int32_t> lengths;
  float dropout = 0;
};

inline OpCase attention_case(const AttentionSizes& s) {
  constexpr std::uint32_t kSite = 9;
  auto op = [=](Context& ctx, const std::vector<Value>& in) {
    return attention(ctx, in[0], in[1], in[2], {static_cast<int>(s.heads), 0, s.lengths, s.dropout, kSite});
  };
  auto reference = [=](const auto& in) {
    using Real = typename std::decay_t<decltype(in[0])>::value_type;
    const std::int64_t width = s.heads * s.dim;
    std::vector<Real> y(in[0].size());
    for (std::int64_t b = 0; b < s.batch; ++b) {
      const std::int64_t keys = s.lengths.empty() ? s.keys : s.lengths[static_cast<std::size_t>(b)];
      for (std::int64_t h = 0; h < s.heads; ++h) {
        for (std::int64_t i = 0; i < s.queries; ++i) {
          std::vector<Real> w(static_cast<std::size_t>(keys));
          Real sum = 0;
          for (std::int64_t j = 0; j < keys; ++j) {
            Real dot = 0;
            for (std::int64_t d = 0; d < s.dim; ++d) {
              dot += in[0][static_cast<std::size_t>((b * s.queries + i) * width + h * s.dim + d)] *
                     in[1][static_cast<std::size_t>((b * s.keys + j) * width + h * s.dim + d)];
            }
            sum += w[static_cast<std::size_t>(j)] = std::exp(dot / std::sqrt(static_cast<Real>(s.dim)));
          }
          for (std::int64_t j = 0; j < keys; ++j) {
            const std::int64_t element = (h * s.queries + i) * s.keys + j;
            const Philox4 bits = RandomKey{5, 0, kSite}.draw(static_cast<std::uint32_t>(b),
                                                             static_cast<std::uint32_t>(element / 4));
            const bool kept = uniform01(bits.v[element % 4]) >= s.dropout;
            const Real weight =
                kept ? w[static_cast<std::size_t>(j)] / sum / static_cast<Real>(1 - s.dropout) : 0;
            for (std::int64_t d = 0; d < s.dim; ++d) {
              y[static_cast<std::size_t>((b * s.queries + i) * width + h * s.dim + d)] +=
                  weight * in[2][static_cast<std::size_t>((b * s.keys + j) * width + h * s.dim + d)];
            }
          }
        }
      }
    }
    return y;
  };
  const Shape q{s.batch, s.queries, s.heads * s.dim}, k{s.batch, s.keys, s.heads * s.dim};
  return op_case(fmt::format("attention {}x{}x{} heads {} dim {} dropout {}", s.batch, s.queries, s.keys,
                             s.heads, s.dim, s.dropout),
                 {q, k, k}, {false, false, false}, op, reference);
}

inline OpCase gather_rows_case() {
  static const std::vector<std::int32_t> indices{4, 0, 4, 2, 2, 4};
  auto op = [](Context& ctx, const std::vector<Value>& in) {
    return gather_rows(ctx, in[0], indices, {2, 3, 19});
  };
  auto reference = [](const auto& in) {
    std::decay_t<decltype(in[0])> y;
    for (std::int32_t i : indices) y.insert(y.end(), in[0].begin() + i * 19, in[0].begin() + (i + 1) * 19);
    return y;
  };
  return op_case("gather_rows", {{5, 19}}, {true}, op, reference);
}

inline OpCase dropout_case() {
  auto op = [](Context& ctx, const std::vector<Value>& in) { return dropout(ctx, in[0], 0.3f, 4); };
  auto reference = [](const auto& in) {
    auto y = in[0];
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t sample = i / 63, element = i % 63;  // [2, 7, 9]: 63 elements a sample
      const Philox4 bits = RandomKey{5, 0, 4}.draw(static_cast<std::uint32_t>(sample),
                                                   static_cast<std::uint32_t>(element / 4));
      y[i] *= uniform01(bits.v[element % 4]) >= 0.3f
                  ? static_cast<std::decay_t<decltype(y[0])>>(1 / (1 - 0.3))
                  : 0;
    }
    return y;
  };
  return op_case("dropout", {{2, 7, 9}}, {false}, op, reference);
}

// Soft targets with two classes each.
inline OpCase cross_entropy_case(std::int64_t rows, std::int64_t classes) {
  auto target = [=](std::int64_t r, std::int64_t k) {
    return (k == r % classes ? 0.7f : 0.0f) + (k == 3 * r % classes ? 0.3f : 0.0f);
  };
  auto op = [=](Context& ctx, const std::vector<Value>& in) {
    Tensor targets = Tensor::zeros(heap_allocator(), {rows, classes});
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t k = 0; k < classes; ++k) targets.f32()[r * targets.pitch() + k] = target(r, k);
    }
    return cross_entropy(ctx, scale(ctx, in[0], 5), targets);
  };
  auto reference = [=](const auto& in) {
    using Real = typename std::decay_t<decltype(in[0])>::value_type;
    Real loss = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      Real sum = 0;
      for (std::int64_t k = 0; k < classes; ++k)
        sum += std::exp(5 * in[0][static_cast<std::size_t>(r * classes + k)]);
      for (std::int64_t k = 0; k < classes; ++k) {
        loss -= static_cast<Real>(target(r, k)) *
                (5 * in[0][static_cast<std::size_t>(r * classes + k)] - std::log(sum)) /
                static_cast<Real>(rows);
      }
    }
    return std::vector<Real>{loss};
  };
  return op_case(fmt::format("cross_entropy {}x{}", rows, classes), {{rows, classes}}, {false}, op,
                 reference);
}

// Clip i carries text pair_text[i]; the reference writes out all B x B pairs with the text repeated.
inline OpCase contrastive_case(std::vector<std::int32_t> pair_text, std::int64_t texts, std::int64_t dim,
                               bool prompted, bool soft,
                               ContrastiveTarget target = ContrastiveTarget::softmax) {
  const auto clips = static_cast<std::int64_t>(pair_text.size());
  auto positive = [=](std::int64_t i, std::int64_t k) {
    const float on = pair_text[static_cast<std::size_t>(i)] == k ? 1.0f : 0.0f;
    return soft ? 0.8f * on + (k == (i + 1) % texts ? 0.2f : 0.0f) : on;
  };
  constexpr float kTemperature = 0.5f;
  auto op = [=](Context& ctx, const std::vector<Value>& in) {
    Tensor positives = Tensor::zeros(heap_allocator(), {clips, texts});
    std::vector<std::int32_t> counts(static_cast<std::size_t>(texts));
    for (std::int64_t i = 0; i < clips; ++i) {
      ++counts[static_cast<std::size_t>(pair_text[static_cast<std::size_t>(i)])];
      for (std::int64_t k = 0; k < texts; ++k) positives.f32()[i * positives.pitch() + k] = positive(i, k);
    }
    return contrastive_loss(ctx, in[0], in[1], positives, counts, {kTemperature, 10, target});
  };
  auto reference = [=](const auto& in) {
    using Real = typename std::decay_t<decltype(in[0])>::value_type;
    const auto n = static_cast<std::size_t>(clips);
    std::vector<Real> s(n * n), label(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        const std::size_t text =
            (prompted ? i * static_cast<std::size_t>(texts) : 0) + static_cast<std::size_t>(pair_text[j]);
        for (std::size_t d = 0; d < static_cast<std::size_t>(dim); ++d) {
          s[i * n + j] += in[0][i * static_cast<std::size_t>(dim) + d] *
                          in[1][text * static_cast<std::size_t>(dim) + d] / static_cast<Real>(kTemperature);
        }
        // Before it is divided by its sum.
        const auto on = static_cast<Real>(positive(static_cast<std::int64_t>(i), pair_text[j]));
        label[i * n + j] = target == ContrastiveTarget::l1 ? on : std::exp(10 * on);
      }
    }
    Real loss = 0;
    for (int direction = 0; direction < 2; ++direction) {
      auto at = [&](std::size_t a, std::size_t b) { return direction == 0 ? a * n + b : b * n + a; };
      for (std::size_t a = 0; a < n; ++a) {
        Real sum = 0, target_sum = 0;
        for (std::size_t b = 0; b < n; ++b) {
          sum += std::exp(s[at(a, b)]);
          target_sum += label[at(a, b)];
        }
        for (std::size_t b = 0; b < n; ++b) {
          const Real share = label[at(a, b)] / target_sum;
          if (share == 0) continue;
          loss += share * (std::log(share) - (s[at(a, b)] - std::log(sum))) / static_cast<Real>(2 * n);
        }
      }
    }
    return std::vector<Real>{loss};
  };
  const Shape t = prompted ? Shape{clips, texts, dim} : Shape{texts, dim};
  OpCase made = op_case(fmt::format("contrastive_loss {} clips {} texts prompted {} soft {} l1 {}", clips,
                                    texts, prompted, soft, target == ContrastiveTarget::l1),
                        {{clips, dim}, t}, {false, false}, op, reference);
  made.terms = 10;  // a divergence is a difference of labels, scaled by 10, and similarities
  return made;
}

inline std::vector<OpCase> op_cases() {
  auto sum = [](Context& ctx, const std::vector<Value>& in) {
    return add(ctx, add(ctx, in[0], in[1]), in[0]);
  };
  auto sum_reference = [](const auto& in) {
    auto y = in[0];
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += in[1][i] + in[0][i];
    return y;
  };
  auto channels = [](Context& ctx, const std::vector<Value>& in) {
    return scale_channels(ctx, in[0], in[1]);
  };
  auto channels_reference = [](const auto& in) {
    auto y = in[0];
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= in[1][i % in[1].size()];
    return y;
  };
  auto pool = [](Context& ctx, const std::vector<Value>& in) { return global_average_pool(ctx, in[0]); };
  auto pool_reference = [](const auto& in) {
    std::decay_t<decltype(in[0])> y(3 * 70);
    for (std::size_t i = 0; i < in[0].size(); ++i) y[i / (24 * 70) * 70 + i % 70] += in[0][i] / 24;
    return y;
  };
  std::vector<OpCase> cases{
      op_case("add, a value used twice", {{3, 5, 17}, {3, 5, 17}}, {false, false}, sum, sum_reference),
      op_case("scale_channels", {{301, 45}, {45}}, {false, true}, channels, channels_reference),
      // Few rows: the factor's gradient is one sum, and 13,545 terms of both signs would leave little of it.
      op_case("scale_channels, one factor", {{7, 45}, {1}}, {false, true}, channels, channels_reference),
      op_case("global_average_pool", {{3, 2, 3, 4, 70}}, {false}, pool, pool_reference),
      batch_norm_case(1, 1, false, false, false),
      batch_norm_case(257, 45, true, true, true),
      batch_norm_case(600, 144, true, true, false),
      batch_norm_case(31, 230, true, false, false),
      batch_norm_case(7, 16, false, true, true),
      layer_norm_case(1, 2),
      layer_norm_case(37, 128),
      layer_norm_case(300, 45),
      l2_normalize_case(5, 31),
      l2_normalize_case(64, 256),
      activation_case(Activation::relu, 3, 17),
      activation_case(Activation::gelu, 70, 33),
      activation_case(Activation::quick_gelu, 70, 45),
      attention_case({1, 1, 1, 1, 1, {}}),
      attention_case({2, 5, 7, 3, 13, {}}),
      attention_case({3, 16, 16, 2, 64, {16, 1, 9}}),
      attention_case({2, 6, 70, 4, 16, {70, 33}, 0.2f}),
      attention_case({1, 3, 131, 1, 128, {}}),
      gather_rows_case(),
      dropout_case(),
      cross_entropy_case(1, 2),
      cross_entropy_case(37, 20),
      contrastive_case({0}, 1, 3, false, false),
      contrastive_case({0, 1, 2, 3, 4}, 5, 33, false, false),
      contrastive_case({2, 0, 2, 1, 2, 0, 3}, 4, 16, false, true),
      contrastive_case({2, 0, 2, 1, 2, 0, 3}, 4, 21, true, false),
      contrastive_case({0}, 1, 3, false, false, ContrastiveTarget::l1),
      contrastive_case({0, 1, 2, 3, 4}, 5, 33, false, false, ContrastiveTarget::l1),
      contrastive_case({2, 0, 2, 1, 2, 0, 3}, 4, 16, false, true, ContrastiveTarget::l1),
      contrastive_case({2, 0, 2, 1, 2, 0, 3}, 4, 21, true, true, ContrastiveTarget::l1),
  };
  return cases;
}

}  // namespace mg::test
