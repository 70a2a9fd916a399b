// oneDNN on the processor, in the layouts that it chooses itself, on as many threads as our stream has.
#include <omp.h>

#include <dnnl.hpp>

#include "bench/peers/libraries.h"

namespace mg {

namespace {

using dnnl::memory;

struct Primitive {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;

  void take(int name, const memory::desc& description) {
    memory m(description, engine);
    std::fill_n(static_cast<float*>(m.get_data_handle()), description.get_size() / sizeof(float), 0.5F);
    arguments.insert({name, m});
  }
  void run() {
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

Peer as_peer(const std::shared_ptr<Primitive>& primitive) {
  return {"oneDNN", [primitive] { primitive->run(); }};
}

memory::desc any(const memory::dims& dims) { return {dims, memory::data_type::f32, memory::format_tag::any}; }

bool usable(const Bench& bench) {
  omp_set_num_threads(std::get<CpuStream>(bench.stream).threads());
  return bench.dtype == DType::f32;
}

}  // namespace

Peer onednn_conv(Bench& bench, const ConvLayer& layer, Direction direction) {
  if (!usable(bench)) return {};
  const auto ncdhw = [](const Shape& s) { return memory::dims{s[0], s[4], s[1], s[2], s[3]}; };
  const Conv3dGeometry& g = layer.geometry;
  const memory::dims strides(g.stride.begin(), g.stride.end()), padding(g.padding.begin(), g.padding.end());
  const Shape w = layer.w();
  const memory::desc x = any(ncdhw(layer.x)), weights = any({w[0], w[1], w[2], w[3], w[4]}),
                     y = any(ncdhw(layer.y()));
  const auto algorithm = dnnl::algorithm::convolution_direct;
  auto p = std::make_shared<Primitive>();
  using Forward = dnnl::convolution_forward;
  const Forward::primitive_desc forward(
      Forward::desc(dnnl::prop_kind::forward_training, algorithm, x, weights, y, strides, padding, padding),
      p->engine);
  if (direction == Direction::forward) {
    p->primitive = Forward(forward);
    p->take(DNNL_ARG_SRC, forward.src_desc());
    p->take(DNNL_ARG_WEIGHTS, forward.weights_desc());
    p->take(DNNL_ARG_DST, forward.dst_desc());
  } else if (direction == Direction::backward_data) {
    using Backward = dnnl::convolution_backward_data;
    const Backward::primitive_desc backward(
        Backward::desc(algorithm, x, weights, y, strides, padding, padding), p->engine, forward);
    p->primitive = Backward(backward);
    p->take(DNNL_ARG_DIFF_SRC, backward.diff_src_desc());
    p->take(DNNL_ARG_WEIGHTS, backward.weights_desc());
    p->take(DNNL_ARG_DIFF_DST, backward.diff_dst_desc());
  } else {
    using Backward = dnnl::convolution_backward_weights;
    const Backward::primitive_desc backward(
        Backward::desc(algorithm, x, weights, y, strides, padding, padding), p->engine, forward);
    p->primitive = Backward(backward);
    p->take(DNNL_ARG_SRC, backward.src_desc());
    p->take(DNNL_ARG_DIFF_WEIGHTS, backward.diff_weights_desc());
    p->take(DNNL_ARG_DIFF_DST, backward.diff_dst_desc());
  }
  return as_peer(p);
}

Peer onednn_linear(Bench& bench, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
                   Direction direction) {
  if (!usable(bench)) return {};
  const memory::desc x = any({rows, inputs}), weights = any({outputs, inputs}), y = any({rows, outputs});
  auto p = std::make_shared<Primitive>();
  using Forward = dnnl::inner_product_forward;
  const Forward::primitive_desc forward(Forward::desc(dnnl::prop_kind::forward_training, x, weights, y),
                                        p->engine);
  if (direction == Direction::forward) {
    p->primitive = Forward(forward);
    p->take(DNNL_ARG_SRC, forward.src_desc());
    p->take(DNNL_ARG_WEIGHTS, forward.weights_desc());
    p->take(DNNL_ARG_DST, forward.dst_desc());
  } else if (direction == Direction::backward_data) {
    using Backward = dnnl::inner_product_backward_data;
    const Backward::primitive_desc backward(Backward::desc(x, weights, y), p->engine, forward);
    p->primitive = Backward(backward);
    p->take(DNNL_ARG_DIFF_SRC, backward.diff_src_desc());
    p->take(DNNL_ARG_WEIGHTS, backward.weights_desc());
    p->take(DNNL_ARG_DIFF_DST, backward.diff_dst_desc());
  } else {
    using Backward = dnnl::inner_product_backward_weights;
    const Backward::primitive_desc backward(Backward::desc(x, weights, y), p->engine, forward);
    p->primitive = Backward(backward);
    p->take(DNNL_ARG_SRC, backward.src_desc());
    p->take(DNNL_ARG_DIFF_WEIGHTS, backward.diff_weights_desc());
    p->take(DNNL_ARG_DIFF_DST, backward.diff_dst_desc());
  }
  return as_peer(p);
}

}  // namespace mg
