// cuDNN's fused attention, forward with its log-sum-exps, without dropout or padding, by the first engine
// that its heuristic names. It is only in the graph API. The graph is checked without a GPU; it has never
// run.
#include <cudnn.h>

#include <cmath>

#include "bench/peers/libraries.h"

namespace mg {

namespace {

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw CudaError(CudaError::Kind::failed,
                  std::string("cuDNN: ") + what + ": " + cudnnGetErrorString(status));
}

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    check(cudnnBackendCreateDescriptor(type, &value_), "create");
  }
  ~Descriptor() { cudnnBackendDestroyDescriptor(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  template <class T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const std::vector<T>& values) {
    check(
        cudnnBackendSetAttribute(value_, name, type, static_cast<std::int64_t>(values.size()), values.data()),
        "set");
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector{other.value_});
  }
  void finish(const char* what) { check(cudnnBackendFinalize(value_), what); }
  operator cudnnBackendDescriptor_t() const { return value_; }

 private:
  cudnnBackendDescriptor_t value_ = nullptr;
};

struct Tensor4 : Descriptor {
  Tensor4(std::int64_t id, cudnnDataType_t type, const std::vector<std::int64_t>& dims,
          const std::vector<std::int64_t>& strides, bool by_value = false)
      : Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR) {
    set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, std::vector{id});
    set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{type});
    set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::vector{std::int64_t{16}});
    set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, dims);
    set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides);
    if (by_value) {
      const bool yes = true;
      check(cudnnBackendSetAttribute(*this, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &yes),
            "by value");
    }
    finish("tensor");
  }
};

enum Id : std::int64_t { kQ = 1, kK, kV, kO, kStatistics, kScale };

// softmax(scale q k^T) v; q, o: [B, Lq, H * D], k, v: [B, Lk, H * D], seen as B H L D.
struct Graph {
  Tensor4 q, k, v, o, statistics, scale;
  Descriptor attention{CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR},
      graph{CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR};

  static Tensor4 rows(Id id, const AttentionShape& s, std::int64_t length) {
    return {id,
            CUDNN_DATA_BFLOAT16,
            {s.batch, s.heads, length, s.dim},
            {length * s.heads * s.dim, s.dim, s.heads * s.dim, 1}};
  }
  Graph(const AttentionShape& s, cudnnHandle_t handle)
      : q(rows(kQ, s, s.queries)),
        k(rows(kK, s, s.keys)),
        v(rows(kV, s, s.keys)),
        o(rows(kO, s, s.queries)),
        statistics(kStatistics, CUDNN_DATA_FLOAT, {s.batch, s.heads, s.queries, 1},
                   {s.heads * s.queries, s.queries, 1, 1}),
        scale(kScale, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, true) {
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, o);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_STATSDESC, statistics);
    attention.set(CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, scale);
    attention.finish("attention");
    if (handle != nullptr)
      graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle});
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, attention);
    graph.finish("graph of attention");
  }
};

struct Handle {
  cudnnHandle_t value = nullptr;
  explicit Handle(const CudaStream& stream) {
    check(cudnnCreate(&value), "create");
    check(cudnnSetStream(value, static_cast<cudaStream_t>(stream.handle())), "stream");
  }
  ~Handle() { cudnnDestroy(value); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

class Attention {
 public:
  Attention(Bench& bench, const AttentionShape& s)
      : handle_(std::get<CudaStream>(bench.stream)),
        graph_(s, handle_.value),
        scale_(1 / std::sqrt(static_cast<float>(s.dim))) {
    const auto rows = [&](std::int64_t length) {
      return Array(bench, {s.batch * length, s.heads * s.dim}, DType::bf16, s.heads * s.dim,
                   Array::Fill::random);
    };
    arrays_ = {rows(s.queries), rows(s.keys), rows(s.keys), rows(s.queries),
               parameter(bench, {s.batch * s.heads * s.queries}, Array::Fill::zeros)};
    Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_.graph);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, std::vector{CUDNN_HEUR_MODE_A});
    heuristic.finish("heuristic");
    cudnnBackendDescriptor_t engine = engine_;
    std::int64_t found = 0;
    check(cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                   &found, &engine),
          "engines");
    if (found == 0) throw CudaError(CudaError::Kind::failed, "cuDNN: no engine for this attention");
    plan_.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, std::vector{handle_.value});
    plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, engine_);
    plan_.finish("plan");
    std::int64_t bytes = 0, count = 0;
    check(cudnnBackendGetAttribute(plan_, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                   &count, &bytes),
          "workspace");
    arrays_.push_back(parameter(bench, {bytes / 4 + 1}, Array::Fill::zeros));
    pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
              std::vector<std::int64_t>{kQ, kK, kV, kO, kStatistics, kScale});
    std::vector<void*> pointers;
    for (std::size_t i = 0; i < 5; ++i) pointers.push_back(arrays_[i].as<void>());
    pointers.push_back(&scale_);
    pack_.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers);
    pack_.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::vector{arrays_[5].as<void>()});
    pack_.finish("pointers");
  }
  void run() { check(cudnnBackendExecute(handle_.value, plan_, pack_), "attention"); }

 private:
  Handle handle_;
  Graph graph_;
  Descriptor engine_{CUDNN_BACKEND_ENGINECFG_DESCRIPTOR}, plan_{CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR},
      pack_{CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR};
  std::vector<Array> arrays_;
  float scale_;
};

}  // namespace

Peer cudnn_attention(Bench& bench, const AttentionShape& shape) {
  if (bench.dtype != DType::bf16) return {};
  if (bench.counting) {
    const Graph checked(shape, nullptr);
    return {};
  }
  auto attention = std::make_shared<Attention>(bench, shape);
  return {"cuDNN", [attention] { attention->run(); }};
}

}  // namespace mg
