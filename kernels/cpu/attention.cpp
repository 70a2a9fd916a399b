// One piece of work is a sample and a head. Keys are transposed once for it, so that the scores of a query
// are sums of vectors over keys; the values and gradients are sums of vectors over the head's channels.
#include "kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {

struct Head {
  std::int64_t b, h, queries, keys, dim, key_stride;

  Head(const AttentionProblem& p, std::int64_t item)
      : b(item / p.heads), h(item % p.heads), queries(p.q.shape[1]), dim(p.q.channels() / p.heads) {
    keys = p.key_lengths != nullptr ? p.key_lengths[b] : p.k.shape[1];
    key_stride = round_up(keys, kVectorFloats);
  }
  template <class V>
  auto row(const V& view, std::int64_t i) const {
    return view.f32() + (b * view.shape[1] + i) * view.pitch + h * dim;
  }
};

// out[d][key] = in row key, channel d; zeros past the last key.
void transpose(const Head& head, const ConstView& in, float* out) {
  for (std::int64_t d = 0; d < head.dim; ++d) {
    std::fill_n(out + d * head.key_stride + head.keys, head.key_stride - head.keys, 0.0f);
  }
  for (std::int64_t j = 0; j < head.keys; ++j) {
    const float* row = head.row(in, j);
    for (std::int64_t d = 0; d < head.dim; ++d) out[d * head.key_stride + j] = row[d];
  }
}

// out[key] = factor * sum over d of a[d] * transposed[d][key].
void dot_keys(const Head& head, const float* a, const float* transposed, float factor, float* out) {
  constexpr int kVecs = 4;
  for (std::int64_t j = 0; j < head.key_stride; j += kVecs * kVectorFloats) {
    const int count = static_cast<int>(std::min<std::int64_t>(kVecs, (head.key_stride - j) / kVectorFloats));
    Vec sum[kVecs] = {};
    for (std::int64_t d = 0; d < head.dim; ++d) {
      const float* line = transposed + d * head.key_stride + j;
      for (int v = 0; v < count; ++v) sum[v] += a[d] * load(line + v * kVectorFloats);
    }
    for (int v = 0; v < count; ++v) store(out + j + v * kVectorFloats, factor * sum[v]);
  }
}

// out[d] += factor * in[d].
inline void add_scaled(std::int64_t dim, float factor, const float* in, float* out) {
  for (std::int64_t d = 0; d < dim; ++d) out[d] += factor * in[d];
}

// Scales the weights of one query by 0 or 1 / (1 - p).
void drop_weights(const AttentionProblem& p, const Head& head, std::int64_t query, float* weights) {
  const float keep = 1.0f / (1.0f - p.dropout);
  const auto sample = p.sample_offset + static_cast<std::uint32_t>(head.b);
  const std::int64_t first = (head.h * head.queries + query) * p.k.shape[1];
  Philox4 bits{};
  for (std::int64_t j = 0; j < head.keys; ++j) {
    const std::int64_t element = first + j;
    if (j == 0 || element % 4 == 0) bits = p.key.draw(sample, static_cast<std::uint32_t>(element / 4));
    weights[j] = uniform01(bits.v[element % 4]) >= p.dropout ? weights[j] * keep : 0.0f;
  }
}

void exponentials(const Head& head, float shift, float* scores) {
  for (std::int64_t j = 0; j < head.key_stride; j += kVectorFloats)
    store(scores + j, vexp(load(scores + j) - shift));
  std::fill_n(scores + head.keys, head.key_stride - head.keys, 0.0f);
}

}  // namespace

void attention_forward(const AttentionForward& args, CpuStream& stream) {
  const AttentionProblem& p = args.problem;
  stream.parallel_for(p.q.shape[0] * p.heads, [&](std::int64_t item, int worker) {
    const Head head(p, item);
    float* transposed = stream.scratch(worker, 0, static_cast<std::size_t>((head.dim + 1) * head.key_stride));
    float* weights = transposed + head.dim * head.key_stride;
    transpose(head, p.k, transposed);
    for (std::int64_t i = 0; i < head.queries; ++i) {
      dot_keys(head, head.row(p.q, i), transposed, p.scale, weights);
      const float largest = *std::max_element(weights, weights + head.keys);
      exponentials(head, largest, weights);
      Vec sums{};
      for (std::int64_t j = 0; j < head.key_stride; j += kVectorFloats) sums += load(weights + j);
      const float sum = sum_lanes(sums);
      args.lse[item * head.queries + i] = largest + std::log(sum);
      for (std::int64_t j = 0; j < head.keys; ++j) weights[j] /= sum;
      if (p.dropout > 0) drop_weights(p, head, i, weights);
      float* y = head.row(args.y, i);
      std::fill_n(y, head.dim, 0.0f);
      for (std::int64_t j = 0; j < head.keys; ++j) add_scaled(head.dim, weights[j], head.row(p.v, j), y);
    }
  });
}

void attention_backward(const AttentionBackward& args, CpuStream& stream) {
  const AttentionProblem& p = args.problem;
  stream.parallel_for(p.q.shape[0] * p.heads, [&](std::int64_t item, int worker) {
    const Head head(p, item);
    const std::int64_t matrix = head.dim * head.key_stride;
    float* keys = stream.scratch(worker, 0, static_cast<std::size_t>(2 * matrix + 3 * head.key_stride));
    float* values = keys + matrix;
    float *weights = values + matrix, *dropped = weights + head.key_stride,
          *dweights = dropped + head.key_stride;
    transpose(head, p.k, keys);
    transpose(head, p.v, values);
    for (std::int64_t j = 0; j < p.k.shape[1]; ++j) {
      std::fill_n(head.row(args.dk, j), head.dim, 0.0f);
      std::fill_n(head.row(args.dv, j), head.dim, 0.0f);
    }
    for (std::int64_t i = 0; i < head.queries; ++i) {
      const float *q = head.row(p.q, i), *dy = head.row(args.dy, i), *y = head.row(args.y, i);
      dot_keys(head, q, keys, p.scale, weights);
      exponentials(head, args.lse[item * head.queries + i], weights);
      std::copy_n(weights, head.key_stride, dropped);
      if (p.dropout > 0) drop_weights(p, head, i, dropped);
      dot_keys(head, dy, values, 1.0f, dweights);
      float along = 0;  // sum over keys of weight * its gradient, which is dy . y
      for (std::int64_t d = 0; d < head.dim; ++d) along += dy[d] * y[d];
      float* dq = head.row(args.dq, i);
      std::fill_n(dq, head.dim, 0.0f);
      for (std::int64_t j = 0; j < head.keys; ++j) {
        // dropped = weight * mask, so the mask's factor on the gradient is dropped / weight.
        const float dscore = p.scale * (dropped[j] * dweights[j] - weights[j] * along);
        add_scaled(head.dim, dscore, head.row(p.k, j), dq);
        add_scaled(head.dim, dscore, q, head.row(args.dk, j));
        add_scaled(head.dim, dropped[j], dy, head.row(args.dv, j));
      }
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(attention_forward, AttentionForward)
MG_KERNEL(attention_backward, AttentionBackward)
