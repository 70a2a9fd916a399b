// One piece of work is a sample and a head. Keys pass in blocks: the forward pass rescales its sums when a
// later block has a larger score (online softmax: Milakov and Gimelshein 2018; blocks: Dao et al. 2022), the
// backward pass recomputes a block's weights from the log-sum-exp of each query.
#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/isa.h"
// after isa.h: compiled per instruction set
#include "kernels/cpu/block_matmul.h"
#include "kernels/cpu/dropout_mask.h"
#include "kernels/cpu/vec_math.h"

namespace mg::MG_ISA {

namespace {

constexpr std::int64_t kKeys = 64, kQueries = 32;  // of a block: scores and operands stay in L1

struct Head {
  std::int64_t b, h, queries, keys, dim, stride;  // stride: dim rounded up to whole vectors

  Head(const AttentionProblem& p, std::int64_t item)
      : b(item / p.heads), h(item % p.heads), queries(p.q.shape[1]), dim(p.q.channels() / p.heads) {
    keys = p.key_lengths != nullptr ? p.key_lengths[b] : p.k.shape[1];
    stride = round_up(dim, kVectorFloats);
  }
  template <class V>
  auto row(const V& view, std::int64_t i) const {
    return view.f32() + (b * view.shape[1] + i) * view.pitch + h * dim;
  }
};

// Hands out parts of one piece of scratch memory, each on its own cache lines.
class ScratchParts {
 public:
  ScratchParts(CpuStream& stream, int worker, std::int64_t floats)
      : next_(stream.scratch(worker, 0, static_cast<std::size_t>(floats))) {}
  float* take(std::int64_t floats) {
    float* part = next_;
    next_ += round_up(floats, 16);
    return part;
  }

 private:
  float* next_;
};

// A block of up to kQueries rows of a [kQueries][stride] array, or of a view.
struct RowPointers {
  const float* p[kQueries];

  RowPointers(const float* first, std::int64_t stride, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) p[i] = first + i * stride;
  }
};

// Scales the weights of one query and a block of keys by 0 or 1 / (1 - p).
void drop_weights(const AttentionProblem& p, const Head& head, std::int64_t query, std::int64_t key0,
                  std::int64_t keys, float* weights) {
  const auto sample = p.sample_offset + static_cast<std::uint32_t>(head.b);
  const std::int64_t first = (head.h * head.queries + query) * p.k.shape[1] + key0;
  alignas(64) float factors[kKeys];
  dropout_factors(p.key, sample, first, keys, p.dropout, factors);
  for (std::int64_t j = 0; j < keys; ++j) weights[j] *= factors[j];
}

// scores[0, keys) become exp(scale * score - shift), zeros up to whole vectors; returns their sum.
float exponentials(std::int64_t keys, float scale, float shift, float* scores) {
  Vec sum{};
  for_each_vector(keys, [&](std::int64_t j, auto lanes) {
    lanes.store(scores + j, vexp(lanes.load(scores + j) * scale - shift));
  });
  const std::int64_t width = round_up(keys, kVectorFloats);
  std::fill_n(scores + keys, width - keys, 0.0f);
  for (std::int64_t j = 0; j < width; j += kVectorFloats) sum += load(scores + j);
  return sum_lanes(sum);
}

float largest_score(std::int64_t keys, const float* scores) {
  const std::int64_t whole = keys / kVectorFloats * kVectorFloats;
  Vec largest = splat(scores[0]);
  for (std::int64_t j = 0; j < whole; j += kVectorFloats) largest = vmax(largest, load(scores + j));
  alignas(64) float lanes[kVectorFloats];
  store(lanes, largest);
  return std::max(*std::max_element(lanes, lanes + kVectorFloats),
                  *std::max_element(scores + std::min(whole, keys - 1), scores + keys));
}

// What a query has seen so far: its largest score and the sum of exponentials relative to it.
struct Softmax {
  float largest = -std::numeric_limits<float>::infinity();
  float sum = 0;

  // Scores become weights relative to the new largest; returns the factor on what was summed before.
  float absorb(std::int64_t keys, float scale, float* scores) {
    const float before = largest;
    largest = std::max(largest, scale * largest_score(keys, scores));
    const float factor = std::exp(before - largest);
    sum = sum * factor + exponentials(keys, scale, largest, scores);
    return factor;
  }
};

struct ForwardBuffers {
  float *keys, *values, *scores, *products;

  ForwardBuffers(CpuStream& stream, int worker, const Head& head) {
    const std::int64_t block = kKeys * head.stride;
    ScratchParts parts(stream, worker, 2 * block + kQueries * (kKeys + head.stride) + 64);
    keys = parts.take(block);
    values = parts.take(block);
    scores = parts.take(kQueries * kKeys);
    products = parts.take(kQueries * head.stride);
  }
};

// Adds keys [key0, key0 + keys), which lie packed in the buffers, to queries [q0, q0 + count).
void forward_block(const AttentionForward& args, const Head& head, const ForwardBuffers& buffers,
                   Softmax* states, std::int64_t q0, std::int64_t key0, std::int64_t keys) {
  const AttentionProblem& p = args.problem;
  const std::int64_t count = std::min(kQueries, head.queries - q0);
  const RowPointers queries(head.row(p.q, q0), p.q.pitch, count), weights(buffers.scores, kKeys, count);
  multiply_block(queries.p, count, head.dim, buffers.keys, keys, buffers.scores, kKeys);
  float factors[kQueries];
  for (std::int64_t i = 0; i < count; ++i) {
    float* scores = buffers.scores + i * kKeys;
    factors[i] = states[q0 + i].absorb(keys, p.scale, scores);
    if (p.dropout > 0) drop_weights(p, head, q0 + i, key0, keys, scores);
  }
  multiply_block(weights.p, count, keys, buffers.values, head.dim, buffers.products, head.stride);
  for (std::int64_t i = 0; i < count; ++i) {
    float* y = head.row(args.y, q0 + i);
    const float* product = buffers.products + i * head.stride;
    if (key0 == 0) {
      std::copy_n(product, head.dim, y);
    } else {
      for (std::int64_t d = 0; d < head.dim; ++d) y[d] = y[d] * factors[i] + product[d];
    }
  }
}

}  // namespace

void attention_forward(const AttentionForward& args, CpuStream& stream) {
  const AttentionProblem& p = args.problem;
  stream.parallel_for(p.q.shape[0] * p.heads, [&](std::int64_t item, int worker) {
    const Head head(p, item);
    const ForwardBuffers buffers(stream, worker, head);
    auto* states =
        reinterpret_cast<Softmax*>(stream.scratch(worker, 1, static_cast<std::size_t>(2 * head.queries)));
    std::fill_n(states, head.queries, Softmax{});
    for (std::int64_t key0 = 0; key0 < head.keys; key0 += kKeys) {
      const std::int64_t keys = std::min(kKeys, head.keys - key0);
      pack_columns(head.row(p.k, key0), p.k.pitch, head.dim, keys, buffers.keys);
      pack_rows(head.row(p.v, key0), p.v.pitch, keys, head.dim, buffers.values);
      for (std::int64_t q0 = 0; q0 < head.queries; q0 += kQueries) {
        forward_block(args, head, buffers, states, q0, key0, keys);
      }
    }
    for (std::int64_t i = 0; i < head.queries; ++i) {
      float* y = head.row(args.y, i);
      const float inverse = 1.0f / states[i].sum;
      for (std::int64_t d = 0; d < head.dim; ++d) y[d] *= inverse;
      args.lse[item * head.queries + i] = states[i].largest + std::log(states[i].sum);
    }
  });
}

namespace {

struct BackwardBuffers {
  float *key_columns, *value_columns, *key_rows;   // packed blocks of keys
  float *dkeys, *dvalues;                          // accumulators, in panels
  float *queries, *dys;                            // packed blocks of queries
  float *weights, *dropped, *dweights, *products;  // [kQueries][kKeys] each, [kQueries][stride]
  float* along;                                    // [queries]: dy . y

  BackwardBuffers(CpuStream& stream, int worker, const Head& head) {
    const std::int64_t block = kKeys * head.stride, rows = kQueries * head.stride, scores = kQueries * kKeys;
    ScratchParts parts(stream, worker, 5 * block + 3 * rows + 3 * scores + head.queries + 256);
    for (float** part : {&key_columns, &value_columns, &key_rows, &dkeys, &dvalues})
      *part = parts.take(block);
    for (float** part : {&queries, &dys, &products}) *part = parts.take(rows);
    for (float** part : {&weights, &dropped, &dweights}) *part = parts.take(scores);
    along = parts.take(head.queries);
  }
};

// The weights of one query, with dropout in `dropped`, and its gradients of the scores in place of dweights.
// The weights of keys between keys and width are zero.
void score_gradients(const AttentionBackward& args, const Head& head, const BackwardBuffers& buffers,
                     std::int64_t i, std::int64_t query, std::int64_t key0, std::int64_t keys,
                     std::int64_t width) {
  const AttentionProblem& p = args.problem;
  float *weights = buffers.weights + i * kKeys, *dropped = buffers.dropped + i * kKeys,
        *dweights = buffers.dweights + i * kKeys;
  exponentials(keys, p.scale, args.lse[(head.b * p.heads + head.h) * head.queries + query], weights);
  std::fill(weights + keys, weights + width, 0.0f);
  std::copy_n(weights, width, dropped);
  if (p.dropout > 0) drop_weights(p, head, query, key0, keys, dropped);
  // dropped = weight * mask, so the mask's factor on the gradient is already in it.
  const float along = buffers.along[query];
  for (std::int64_t j = 0; j < keys; ++j) {
    dweights[j] = p.scale * (dropped[j] * dweights[j] - weights[j] * along);
  }
  std::fill(dweights + keys, dweights + width, 0.0f);
}

// The gradients that queries [q0, q0 + count) and the packed keys [key0, key0 + keys) have from each other.
void backward_block(const AttentionBackward& args, const Head& head, const BackwardBuffers& buffers,
                    std::int64_t q0, std::int64_t key0, std::int64_t keys) {
  const AttentionProblem& p = args.problem;
  const std::int64_t count = std::min(kQueries, head.queries - q0), width = round_up(keys, kBlockRows);
  const float *q = head.row(p.q, q0), *dy = head.row(args.dy, q0);
  const RowPointers queries(q, p.q.pitch, count), dys(dy, args.dy.pitch, count);
  multiply_block(queries.p, count, head.dim, buffers.key_columns, keys, buffers.weights, kKeys);
  multiply_block(dys.p, count, head.dim, buffers.value_columns, keys, buffers.dweights, kKeys);
  for (std::int64_t i = 0; i < count; ++i) score_gradients(args, head, buffers, i, q0 + i, key0, keys, width);
  const RowPointers dropped(buffers.dropped, kKeys, count), dscores(buffers.dweights, kKeys, count);
  pack_rows(dy, args.dy.pitch, count, head.dim, buffers.dys);
  accumulate_block(dropped.p, count, width, buffers.dys, head.dim, buffers.dvalues);
  pack_rows(q, p.q.pitch, count, head.dim, buffers.queries);
  accumulate_block(dscores.p, count, width, buffers.queries, head.dim, buffers.dkeys);
  multiply_block(dscores.p, count, keys, buffers.key_rows, head.dim, buffers.products, head.stride);
  for (std::int64_t i = 0; i < count; ++i) {
    float* dq = head.row(args.dq, q0 + i);
    const float* product = buffers.products + i * head.stride;
    for (std::int64_t d = 0; d < head.dim; ++d) dq[d] = key0 == 0 ? product[d] : dq[d] + product[d];
  }
}

// Rows [0, keys) of an accumulator in panels [channels][width].
void unpack(const Head& head, const float* panels, std::int64_t channels, std::int64_t keys, const View& out,
            std::int64_t key0) {
  for (std::int64_t panel = 0; panel < panel_count(head.dim); ++panel) {
    const std::int64_t width = panel_width(head.dim, panel), first = panel * kPanel;
    for (std::int64_t j = 0; j < keys; ++j) {
      std::copy_n(panels + first * channels + j * width, std::min(width, head.dim - first),
                  head.row(out, key0 + j) + first);
    }
  }
}

}  // namespace

void attention_backward(const AttentionBackward& args, CpuStream& stream) {
  const AttentionProblem& p = args.problem;
  stream.parallel_for(p.q.shape[0] * p.heads, [&](std::int64_t item, int worker) {
    const Head head(p, item);
    const BackwardBuffers buffers(stream, worker, head);
    for (std::int64_t i = 0; i < head.queries; ++i) {
      const float *dy = head.row(args.dy, i), *y = head.row(args.y, i);
      Vec sum{};
      for_each_vector(head.dim,
                      [&](std::int64_t d, auto lanes) { sum += lanes.load(dy + d) * lanes.load(y + d); });
      buffers.along[i] = sum_lanes(sum);
    }
    for (std::int64_t key0 = 0; key0 < head.keys; key0 += kKeys) {
      const std::int64_t keys = std::min(kKeys, head.keys - key0), width = round_up(keys, kBlockRows);
      pack_columns(head.row(p.k, key0), p.k.pitch, head.dim, keys, buffers.key_columns);
      pack_columns(head.row(p.v, key0), p.v.pitch, head.dim, keys, buffers.value_columns);
      pack_rows(head.row(p.k, key0), p.k.pitch, keys, head.dim, buffers.key_rows);
      std::fill_n(buffers.dkeys, width * head.stride, 0.0f);
      std::fill_n(buffers.dvalues, width * head.stride, 0.0f);
      for (std::int64_t q0 = 0; q0 < head.queries; q0 += kQueries) {
        backward_block(args, head, buffers, q0, key0, keys);
      }
      unpack(head, buffers.dkeys, width, keys, args.dk, key0);
      unpack(head, buffers.dvalues, width, keys, args.dv, key0);
    }
    for (std::int64_t j = head.keys; j < p.k.shape[1]; ++j) {
      std::fill_n(head.row(args.dk, j), head.dim, 0.0f);
      std::fill_n(head.row(args.dv, j), head.dim, 0.0f);
    }
  });
}

}  // namespace mg::MG_ISA

MG_KERNEL(attention_forward, AttentionForward)
MG_KERNEL(attention_backward, AttentionBackward)
